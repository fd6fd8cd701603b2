"""How well a photo was driven: against the true frames, and against the driver's own face."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from avatars.detectors.faces import OVAL
from avatars.oneshot.eyes import LEFT, RIGHT, EyePoints
from avatars.oneshot.mouth import LOWER_LIP, UPPER_LIP

LIPS = (*UPPER_LIP, *LOWER_LIP[1:-1], 61, 291, 0, 17, 37, 267, 84, 314, 40, 270, 91, 321)
LIDS = tuple(number for eye in (RIGHT, LEFT) for number in (*eye.corners, *eye.upper, *eye.lower))
NOSE, CHIN, BROW = 1, 152, 10
EYE_BOX, MOUTH_BOX = 0.30, 0.35  # half sides, of the distance between the eyes' outer corners


class Regions(NamedTuple):
    """Masks of one true frame, bool [H, W]."""

    whole: np.ndarray
    person: np.ndarray
    face: np.ndarray
    mouth: np.ndarray
    eyes: np.ndarray


def regions(size: tuple[int, int], points: np.ndarray, person: np.ndarray) -> Regions:
    """Where to compare; `points` [478, 2] of the true frame."""
    unit = eye_distance(points)
    face = np.zeros(size, np.uint8)
    cv2.fillPoly(face, [points[list(OVAL)].astype(np.int32)], 1)
    boxes = [np.zeros(size, bool), np.zeros(size, bool)]
    middles = [points[list(LIPS)].mean(axis=0)]
    eyes = [points[list(eye.corners)].mean(axis=0) for eye in (RIGHT, LEFT)]
    for mask, places, half in ((boxes[0], middles, MOUTH_BOX), (boxes[1], eyes, EYE_BOX)):
        for x, y in places:
            rows = slice(max(int(y - half * unit), 0), int(y + half * unit) + 1)
            columns = slice(max(int(x - half * unit), 0), int(x + half * unit) + 1)
            mask[rows, columns] = True
    return Regions(np.ones(size, bool), person > 0.5, face > 0, boxes[0], boxes[1])


def psnr(truth: np.ndarray, made: np.ndarray, mask: np.ndarray) -> float:  # uint8 images
    """In dB, over the mask."""
    error = (truth[mask].astype(np.float64) - made[mask]) / 255
    return float(-10 * np.log10(max(np.mean(error**2), 1e-10)))


def eye_distance(points: np.ndarray) -> float:
    """Between the outer corners."""
    return float(np.linalg.norm(points[RIGHT.corners[0]] - points[LEFT.corners[0]]))


def landmark_errors(truth: np.ndarray, made: np.ndarray) -> tuple[float, float]:
    """Mean distance of all 468 points, and of lips and lids; shares of the eye distance."""
    gap = np.linalg.norm(truth - made, axis=1) / eye_distance(truth)
    return float(gap[:468].mean()), float(gap[list((*LIPS, *LIDS))].mean())


def similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:  # [N, 2] each -> [2, 3]
    """The turn, scale and shift that bring `source` onto `target` best."""
    from_middle, to_middle = source.mean(axis=0), target.mean(axis=0)
    a, b = (points - middle for points, middle in ((source, from_middle), (target, to_middle)))
    real, imaginary = (a * b).sum(), (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum()
    matrix = np.array([[real, -imaginary], [imaginary, real]]) / (a * a).sum()
    return np.concatenate([matrix, (to_middle - matrix @ from_middle)[:, None]], axis=1)


def curves(points: np.ndarray) -> dict[str, np.ndarray]:  # [T, 478, 2] -> [T] each
    """What a face does, read off its landmarks alone."""
    unit = np.linalg.norm(points[:, RIGHT.corners[0]] - points[:, LEFT.corners[0]], axis=1)
    found = {
        "mouth": np.linalg.norm(points[:, 13] - points[:, 14], axis=1) / unit,
        "width": np.linalg.norm(points[:, 78] - points[:, 308], axis=1) / unit,
        "right eye": _aspect(points, RIGHT),
        "left eye": _aspect(points, LEFT),
        "gaze": (_gaze(points, RIGHT) - _gaze(points, LEFT)) / 2,
    }
    middle = (points[:, RIGHT.corners[0]] + points[:, LEFT.corners[0]]) / 2
    across = points[:, LEFT.corners[0]] - points[:, RIGHT.corners[0]]
    down = np.stack([-across[:, 1], across[:, 0]], axis=1)
    nose = points[:, NOSE] - middle
    found["yaw"] = (nose * across).sum(axis=1) / unit**2
    found["pitch"] = (nose * down).sum(axis=1) / unit**2
    return found


def eyes_open(points: np.ndarray) -> np.ndarray:  # [T, 478, 2] -> [T] bool
    """Frames in which irises can be seen at all: behind a lid a detector only guesses."""
    openings = np.minimum(_aspect(points, RIGHT), _aspect(points, LEFT))
    return openings > 0.5 * np.median(openings)


def correlation(driver: np.ndarray, made: np.ndarray) -> float:
    """Pearson's; NaN for what does not move."""
    if min(np.std(driver), np.std(made)) < 1e-6:
        return float("nan")
    return float(np.corrcoef(driver, made)[0, 1])


def jitter(points: np.ndarray) -> float:  # [T, 478, 2], neighbours in time
    """Second differences of the landmarks, per cent of the eye distance."""
    unit = np.median([eye_distance(frame) for frame in points])
    return float(np.linalg.norm(np.diff(points, n=2, axis=0), axis=2).mean() / unit * 100)


def _aspect(points: np.ndarray, eye: EyePoints) -> np.ndarray:
    width = np.linalg.norm(points[:, eye.corners[0]] - points[:, eye.corners[1]], axis=1)
    gap = points[:, list(eye.upper[2:5])] - points[:, list(eye.lower[2:5])]
    return np.linalg.norm(gap, axis=2).mean(axis=1) / width


def _gaze(points: np.ndarray, eye: EyePoints) -> np.ndarray:
    """How far the iris is from the middle towards the temple, of the eye's width."""
    temple, nose = points[:, eye.corners[0]], points[:, eye.corners[1]]
    axis = temple - nose
    iris = points[:, eye.iris[0]] - (temple + nose) / 2
    return (iris * axis).sum(axis=1) / (axis * axis).sum(axis=1)
