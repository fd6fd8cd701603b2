"""What a face does, read off finished pictures by a detector that saw nothing of the making.

The detector is mediapipe's, in single pictures: it knows neither the track nor the head model.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from avatars.detectors.mediapipe import mediapipe_detector

NAMES = ("mouth_open", "mouth_wide", "lid_right", "lid_left", "brow")
NAMES += ("gaze", "yaw", "pitch", "roll")

DEFINITION = {
    "detected": "share of rendered frames in which mediapipe finds a face",
    **{
        f"follows_{name}": f"correlation over time of {name.replace('_', ' ')}, measured by "
        "mediapipe on the rendered frames, with the same on the frames they should show or follow"
        for name in NAMES
    },
}


def measured(
    images: Iterable[np.ndarray],  # uint8 [H, W, 3] each
) -> tuple[np.ndarray, np.ndarray]:  # [T, 9], [N, 478, 2]
    """The measures of every picture in the order of NAMES, NaN where no face is found; and the
    landmarks of those where one is."""
    detect = mediapipe_detector()
    rows, found = [], []
    for image in images:
        faces = detect(image)
        points = faces[0].points if faces else np.full((478, 2), np.nan)
        rows.append(measures(points))
        found += [points] if faces else []
    return np.array(rows).reshape(-1, len(NAMES)), np.array(found).reshape(-1, 478, 2)


def measures(points: np.ndarray) -> np.ndarray:  # [478, 2] -> [9]
    """Ratios of distances, free of size and place, and angles in radians."""
    across = points[263] - points[33]
    unit = np.linalg.norm(across)
    down = np.array([-across[1], across[0]]) / unit
    middle = (points[263] + points[33]) / 2

    def apart(a: int, b: int) -> float:
        return float(np.linalg.norm(points[a] - points[b]))

    def lid(upper: int, lower: int, outer: int, inner: int) -> float:
        return apart(upper, lower) / apart(outer, inner)

    def look(iris: int, outer: int, inner: int) -> float:
        axis = points[inner] - points[outer]
        return float((points[iris] - points[outer]) @ axis / (axis @ axis))

    brow = np.mean([(points[eye] - points[brow]) @ down for brow, eye in ((105, 159), (334, 386))])
    # Where the nose is between the cheeks, and between eyes and chin: turns, up to scale.
    cheeks, nose = points[454] - points[234], points[1]
    yaw = (nose - points[234]) @ cheeks / (cheeks @ cheeks)
    chin = points[152] - middle
    pitch = (nose - middle) @ chin / (chin @ chin)
    gaze = (look(468, 33, 133) - look(473, 263, 362)) / 2
    roll = np.arctan2(across[1], across[0])
    return np.array([
        apart(13, 14) / unit, apart(61, 291) / unit, lid(159, 145, 33, 133),
        lid(386, 374, 263, 362), brow / unit, gaze, yaw, pitch, roll,
    ])  # fmt: skip


def agreement(wanted: np.ndarray, shown: np.ndarray) -> dict[str, float]:  # [T, 9] each
    """How well what is shown follows what was wanted."""
    found = np.isfinite(shown).all(axis=1)
    numbers = {"detected": round(float(found.mean()), 4) if len(shown) else 0.0}
    both = found & np.isfinite(wanted).all(axis=1)
    for column, name in enumerate(NAMES):
        a, b = wanted[both, column], shown[both, column]
        if len(a) > 2 and a.std() > 1e-9 and b.std() > 1e-9:
            numbers[f"follows_{name}"] = round(float(np.corrcoef(a, b)[0, 1]), 4)
    return numbers
