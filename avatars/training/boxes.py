"""Where eyes and mouth are in a picture: people look there first, so losses and scores do too."""

from __future__ import annotations

import numpy as np

MOUTH = (61, 291, 0, 17, 13, 14, 37, 267, 84, 314)
RIGHT_EYE = (33, 133, 159, 145, 158, 153, 468)
LEFT_EYE = (263, 362, 386, 374, 385, 380, 473)
ROOM = {"mouth": 0.25, "eyes": 0.45}
"""Around the landmarks, of the box's longer side."""


def box_mask(points: np.ndarray, size: int, name: str) -> np.ndarray:  # [478, 2] -> bool [S, S]
    """The pixels of the mouth's box, or of both eyes' boxes."""
    mask = np.zeros((size, size), bool)
    for part in (MOUTH,) if name == "mouth" else (RIGHT_EYE, LEFT_EYE):
        low, high = points[list(part)].min(axis=0), points[list(part)].max(axis=0)
        room = ROOM[name] * float((high - low).max())
        left, top = np.clip(np.floor(low - room), 0, size).astype(int)
        right, bottom = np.clip(np.ceil(high + room), 0, size).astype(int)
        mask[top:bottom, left:right] = True
    return mask
