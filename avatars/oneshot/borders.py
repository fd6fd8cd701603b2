"""What comes into view when somebody moves who is cut off by the photo's border: more of the
torso below, and the rest of the hair above."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

SLOPE = 1.2  # how fast shoulders widen below the photo's border, on either side
BROADEST = 1.15  # half width of shoulders, in heights of the face
DEEPEST, FADES = 0.8, 0.2  # heights of the face: how much is made up below, how fast it gets plain
DOME = 0.3  # height of the hair that is cut off, in half widths of the cut
SHARP = 0.12  # of that height: how fast the hair ends


class Cut(NamedTuple):
    """Where the person leaves the photo, in cells of the window's grid."""

    middle: float
    half: float  # width


class Shoulders(NamedTuple):
    """The cut through the torso."""

    cut: Cut
    room: float  # by how much it is narrower than shoulders are
    bottom: float  # the last row


def find_shoulders(person: np.ndarray, ends_inside: bool, face: float) -> Shoulders | None:
    """From the mask [h, w] of the person and the face's height; None where nothing is to widen."""
    cut = None if ends_inside else _cut(person[-1])
    if cut is None or BROADEST * face <= cut.half:
        return None
    return Shoulders(cut, BROADEST * face - cut.half, person.shape[0] - 0.5)


def torso_below(image: np.ndarray, person: np.ndarray, face: float) -> np.ndarray:
    """Rows to put below the photo, uint8 [rows, W, 4] with the person's share last.

    `image` is uint8 [H, W, 3], `person` uint8 [H, W], `face` a height in pixels. Columns go on, and
    fade into what clothes mostly look like, so that no tie or neck becomes a long stripe.
    """
    last, share = image[-3:].mean(axis=0), np.asarray(person[-1])
    rows = max(int(DEEPEST * face), 1)
    clothes = np.median(last[share > 127], axis=0) if (share > 127).any() else last.mean(axis=0)
    fading = np.exp(-(np.arange(rows) + 0.5) / (FADES * face))[:, None, None]
    colours = clothes + fading * (last - clothes)
    return np.dstack([colours + 0.5, np.repeat(share[None], rows, axis=0)]).astype(np.uint8)


def find_crown(person: np.ndarray, ends_inside: bool) -> Cut | None:
    """The cut through the hair; None if all of it is in the photo."""
    return None if ends_inside else _cut(person[0])


def _cut(row: np.ndarray) -> Cut | None:  # [w]
    columns = np.flatnonzero(row > 0.5)
    if len(columns) < 4 or columns[0] == 0 or columns[-1] == len(row) - 1:
        return None
    low, high = columns[0], columns[-1] + 1
    return Cut(float(low + high) / 2, float(high - low) / 2)


def widen(shift: np.ndarray, shoulders: Shoulders) -> None:
    """Let the last row of the photo grow into shoulders where frames look below it, in place.

    `shift` [h, w, 2] leads from each cell to the place in the photo that it shows.
    """
    cut = shoulders.cut
    rows, columns = np.indices(shift.shape[:2], dtype=np.float32)
    below = np.maximum(rows + 0.5 + shift[..., 1] - shoulders.bottom, 0)
    grown = shoulders.room * np.tanh(SLOPE * below / shoulders.room)
    across = columns + 0.5 + shift[..., 0] - cut.middle
    shift[..., 0] += across * (cut.half / (cut.half + grown) - 1)


def dome(shift: np.ndarray, crown: Cut) -> np.ndarray:  # [h, w, 2] -> float32 [h, w]
    """How much hair there is where frames look above the photo: 1 inside a dome on the cut."""
    rows, columns = np.indices(shift.shape[:2], dtype=np.float32)
    above = np.maximum(-(rows + 0.5 + shift[..., 1]), 0)
    across = (columns + 0.5 + shift[..., 0] - crown.middle) / crown.half
    height = DOME * crown.half * np.sqrt(np.maximum(1 - across**2, 0))
    soft = SHARP * DOME * crown.half
    return np.where(above > 0, np.clip((height - above) / soft + 1, 0, 1), 1).astype(np.float32)
