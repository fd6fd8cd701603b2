"""What may make the frames of one film doubtful, measured (doubt.py says what it means)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from avatars.tracking.doubt import Signs, seconds_lost
from avatars.tracking.fitting import Fitted
from avatars.tracking.looking import Looked
from avatars.tracking.points import Lens
from avatars.tracking.refining import Refined
from dnr.footage import Footage

EYES_M = 0.09  # between the outer corners of an adult's eyes


def signs_of(
    footage: Footage, looked: Looked, fitted: Fitted, seen: Refined | None, lens: Lens
) -> Signs:
    """What may make frames doubtful."""
    height, width = footage.size
    rotation, translation = fitted.motions.pose
    outside = [
        np.mean((part < 0) | (part > (width, height)), axis=(1, 2)) for part in _parts(looked)
    ]
    facing = -rotation[:, 2, 2].clamp(-1, 1)  # cosine between the face's direction and the camera
    width_m = EYES_M * lens.focal / translation[:, 2]
    return Signs(
        lost=seconds_lost(looked.found, looked.times),
        miss=fitted.miss.numpy(),
        outside=np.concatenate(outside),
        turned=np.degrees(np.arccos(facing.numpy())),
        width_px=width_m.numpy(),
        covered=np.zeros(len(looked.times)) if seen is None else seen.covered.numpy(),
    )


def _parts(looked: Looked) -> Iterator[np.ndarray]:
    """The landmarks a thousand frames at a time."""
    for start in range(0, len(looked.landmarks), 1000):
        yield np.asarray(looked.landmarks[start : start + 1000])


def face_boxes(looked: Looked) -> np.ndarray:  # [T, 4]
    """Left, top, right and bottom of the landmarks."""
    corners = [(np.nanmin(part, axis=1), np.nanmax(part, axis=1)) for part in _parts(looked)]
    return np.concatenate([np.concatenate(pair, axis=1) for pair in corners])
