"""How far lids and irises of a driven head are from where the photo has them."""

from __future__ import annotations

import numpy as np

from avatars.oneshot.eyes import EyeMotion, EyePoints

LOWER_SHARE = 0.5  # the head model's lower lids rise too far in a blink
LEAST_OPENING = 0.05  # of the eye's width: narrower eyes are opened as if they were so wide


def eye_motion(
    source: np.ndarray, driven: np.ndarray, names: EyePoints
) -> EyeMotion:  # [478, 2] each: the head's points in the photo, and in a frame
    """Compared in each eye's own coordinates, so turning or moving the head is no difference."""
    before, after = _local(source, names), _local(driven, names)
    upper, lower = list(names.upper), list(names.lower)
    was = float((before[upper, 1] - before[lower, 1]).mean())
    now = float((after[upper, 1] - after[lower, 1]).mean())
    raised = float((after[lower, 1] - before[lower, 1])[2:5].mean())
    iris = after[names.iris[0]] - before[names.iris[0]]
    return EyeMotion(max(now, 0.0) / max(was, LEAST_OPENING), LOWER_SHARE * raised, iris)


def _local(points: np.ndarray, names: EyePoints) -> np.ndarray:
    temple, nose = points[list(names.corners)].astype(np.float64)
    axis = nose - temple
    up = np.array([axis[1], -axis[0]]) * (-1 if axis[0] < 0 else 1)
    return (points - (temple + nose) / 2) @ np.linalg.inv(np.stack([axis, up]))
