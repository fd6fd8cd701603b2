"""What every detector returns, and which face of a picture is which."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

NUM_POINTS = 478  # mediapipe's numbering: 468 on the skin, then five on each iris
RIGHT_IRIS, LEFT_IRIS = 468, 473  # their centres; right and left are the subject's
RIGHT_EYE_OUTER, LEFT_EYE_OUTER = 33, 263
OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
"""The outline of the face from the forehead over the subject's left and the chin, as one ring."""
IBUG = (
    127, 234, 93, 132, 58, 136, 150, 176, 152, 400, 379, 365, 288, 361, 323, 454, 356,
    70, 63, 105, 66, 107, 336, 296, 334, 293, 300, 168, 197, 5, 4, 75, 97, 2, 326, 305,
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,
    61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181,
    78, 82, 13, 312, 308, 317, 14, 87,
)  # fmt: skip
"""The point of mediapipe's nearest to each of the 68 that iBUG's annotations have."""


class Face(NamedTuple):
    """One face in one picture."""

    points: np.ndarray  # float32 [478, 2], column and row in pixels; NaN where there is none
    score: float  # 0 to 1, the detector's own confidence


FaceDetector = Callable[[np.ndarray], list[Face]]
"""A uint8 RGB picture [H, W, 3] goes in; detectors may expect the frames of one video in order."""


def box(points: np.ndarray) -> np.ndarray:  # [478, 2] -> [4]
    """Left, top, right and bottom of the points that are there."""
    return np.concatenate([np.nanmin(points, axis=0), np.nanmax(points, axis=0)])


def overlap(one: np.ndarray, other: np.ndarray) -> float:  # [4], [4]
    """Area that two boxes share over the area that they cover together, 0 to 1."""
    shared = np.clip(np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2]), 0, None)
    areas = np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2])
    return float(shared.prod() / max(areas - shared.prod(), 1e-9))


def from_ibug(points: np.ndarray, score: float) -> Face:  # [68, 2 or 3]
    """A face of which only the 68 points of iBUG's annotation are known."""
    spread = np.full((NUM_POINTS, 2), np.nan, np.float32)
    spread[list(IBUG)] = points[:, :2]
    return Face(spread, score)
