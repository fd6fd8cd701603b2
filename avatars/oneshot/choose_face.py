"""Which face of a photo is meant, and whether enough of it can be seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from avatars.detectors.faces import LEFT_EYE_OUTER, RIGHT_EYE_OUTER, Face, FaceDetector, box
from dnr.errors import InputError

LOOKS = 2  # the detector's second look starts from the first, and is steadier
LEAST_PX = 32  # width of a face
OUTSIDE = 0.10  # share of landmarks that may lie beyond the photo's border


def choose_face(
    path: Path, image: np.ndarray, detector: FaceDetector, number: int | None, notes: list[str]
) -> np.ndarray:  # uint8 [H, W, 3] -> [478, 2]
    """Landmarks of face `number`, counted from the left from 1; without one, of the largest."""
    faces: list[Face] = []
    for _ in range(LOOKS):
        faces = sorted(detector(image), key=lambda face: float(box(face.points)[0]))
    if not faces:
        raise InputError(
            f"no face was found in {path}. Choose a portrait that looks towards the camera, with "
            "nothing before the face; profiles are not recognised."
        )
    if number is not None and not 1 <= number <= len(faces):
        raise InputError(
            f"--portrait-face {number} is not there: {len(faces)} face(s) were found in {path}, "
            "counted from the left from 1."
        )
    sizes = [float(np.prod(np.ptp(face.points, axis=0))) for face in faces]
    chosen = int(np.argmax(sizes)) if number is None else number - 1
    if len(faces) > 1:
        which = f"number {chosen + 1} from the left"
        why = "the largest" if number is None else "as asked"
        notes.append(
            f"{len(faces)} faces were found; {which} is used, {why} (--portrait-face chooses)"
        )
    points = faces[chosen].points
    _check(path, image, points)
    return points


def _check(path: Path, image: np.ndarray, points: np.ndarray) -> None:
    size = np.array(image.shape[1::-1])
    across = points[LEFT_EYE_OUTER] - points[RIGHT_EYE_OUTER]
    if across[0] < np.abs(across[1]):
        raise InputError(f"the face in {path} lies on its side. Turn the picture upright.")
    outside = ((points < 0) | (points > size)).any(axis=1).mean()
    if outside > OUTSIDE:
        raise InputError(
            f"the face in {path} is partly outside the picture. Choose one that shows all of it."
        )
    width = float(np.ptp(points[:, 0]))
    if width < LEAST_PX:
        raise InputError(
            f"the face in {path} is only {int(width)} pixels wide, and {LEAST_PX} are needed. Crop "
            "it out of a larger picture."
        )
