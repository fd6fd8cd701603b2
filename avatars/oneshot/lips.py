"""Closed lips in the photo, without the dark line between them: what is seen of them when they
part."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from avatars.oneshot.mouth import LOWER_LIP, UPPER_LIP, opening_of
from avatars.stage.plate import filled

CLOSED = 0.05  # opening over width, up to which lips touch somewhere
LINE = 0.045  # half height of the line and its shade, of the mouth's width
CORNER = 0.10  # of the width: the corners stay dark
BEGIN, FULL = 0.01, 0.06  # opening beyond the photo's at which the line begins to go, and is gone


class Lips(NamedTuple):
    rows: slice  # in the picture
    columns: slice
    parted: np.ndarray  # float32 [h, w, 3]
    cover: np.ndarray  # float32 [h, w, 1]
    opening: float  # in the photo, over the mouth's width


def prepare_lips(picture: np.ndarray, landmarks: np.ndarray) -> Lips | None:
    """The lips in `picture`, uint8 [H, W, 3], with landmarks [478, 2]; None if they are open."""
    rim = np.stack([landmarks[list(UPPER_LIP)], landmarks[list(LOWER_LIP)]])
    opening = opening_of(rim)
    width = float(np.linalg.norm(rim[0, -1] - rim[0, 0]))
    room = 3 * LINE * width
    low = np.maximum(np.floor(rim.min(axis=(0, 1)) - room).astype(int), 0)
    high = np.minimum(np.ceil(rim.max(axis=(0, 1)) + room).astype(int), picture.shape[1::-1])
    if opening > CLOSED or (high - low).min() < 6:
        return None
    rows, columns = slice(low[1], high[1]), slice(low[0], high[0])
    piece = picture[rows, columns].astype(np.float32)
    line = rim.mean(axis=0) - low
    share = np.linspace(0, 1, len(line))
    inner = line[(share >= CORNER) & (share <= 1 - CORNER)]
    band = np.zeros(piece.shape[:2], np.uint8)
    thick = max(round(2 * LINE * width), 1)
    cv2.polylines(band, [inner.round().astype(np.int32)], False, 1, thick)
    if band.all():
        return None
    lighter = np.maximum(filled(piece, band == 0), piece)
    cover = cv2.GaussianBlur(band.astype(np.float32), (0, 0), max(0.3 * LINE * width, 0.5))
    return Lips(rows, columns, lighter, cover[..., None], opening)


def part(picture: np.ndarray, lips: Lips, landmarks: np.ndarray) -> None:
    """Take the line out of `picture`, uint8 [H, W, >= 3], as far as the driven mouth opens."""
    rim = np.stack([landmarks[list(UPPER_LIP)], landmarks[list(LOWER_LIP)]])
    share = (opening_of(rim) - lips.opening - BEGIN) / (FULL - BEGIN)
    if share > 0:
        place = picture[lips.rows, lips.columns, :3]
        mixed = place + min(share, 1.0) * lips.cover * (lips.parted - place)
        picture[lips.rows, lips.columns, :3] = np.clip(mixed + 0.5, 0, 255)
