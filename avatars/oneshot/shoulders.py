"""What comes into view when somebody rises in the photo: more of the torso than it shows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

SLOPE = 1.2  # how fast shoulders widen below the photo's border, on either side
BROADEST = 1.15  # half width of shoulders, in heights of the face


class Shoulders(NamedTuple):
    """Where the torso leaves the photo, in cells of the window's grid."""

    middle: float
    half: float  # width
    room: float  # by how much it is narrower than shoulders are
    bottom: float  # the last row


def find_shoulders(person: np.ndarray, ends_inside: bool, face: float) -> Shoulders | None:
    """From the mask [h, w] of the person and the face's height; None where nothing is to widen."""
    columns = np.flatnonzero(person[-1] > 0.5)
    if ends_inside or len(columns) < 4 or columns[0] == 0 or columns[-1] == person.shape[1] - 1:
        return None
    half = (columns[-1] - columns[0] + 1) / 2
    room = BROADEST * face - half
    if room <= 0:
        return None
    middle = (columns[0] + columns[-1] + 1) / 2
    return Shoulders(float(middle), float(half), float(room), person.shape[0] - 0.5)


def widen(shift: np.ndarray, shoulders: Shoulders) -> None:
    """Let the last row of the photo grow into shoulders where frames look below it, in place.

    `shift` [h, w, 2] leads from each cell to the place in the photo that it shows.
    """
    rows, columns = np.indices(shift.shape[:2], dtype=np.float32)
    below = np.maximum(rows + 0.5 + shift[..., 1] - shoulders.bottom, 0)
    grown = shoulders.room * np.tanh(SLOPE * below / shoulders.room)
    across = columns + 0.5 + shift[..., 0] - shoulders.middle
    shift[..., 0] += across * (shoulders.half / (shoulders.half + grown) - 1)
