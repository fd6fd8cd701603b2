"""The part of a photo that is set in motion."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

ABOVE, BESIDE, BELOW = 1.3, 1.6, 1.7
"""How far the window reaches from the face's box, in heights of the face."""
FIELD_SIDE = 288
"""Longest side of the grid on which motion is computed; it is smooth, so the photo may be finer."""


@dataclass(frozen=True)
class Window:
    """A rectangle of the photo, and the coarser grid over it."""

    left: int
    top: int
    size: tuple[int, int]  # (height, width) in pixels of the photo
    field: tuple[int, int]  # (height, width) of the grid
    photo: tuple[int, int]  # (height, width)

    @property
    def slices(self) -> tuple[slice, slice]:
        return (
            slice(self.top, self.top + self.size[0]),
            slice(self.left, self.left + self.size[1]),
        )

    @property
    def scale(self) -> np.ndarray:  # float32 [2]
        """Grid cells per pixel, across and down."""
        return np.array([self.field[1] / self.size[1], self.field[0] / self.size[0]], np.float32)

    @property
    def ends_inside(self) -> tuple[bool, bool, bool, bool]:
        """Which of its left, top, right and bottom borders cut through the photo."""
        height, width = self.photo
        right, bottom = self.left + self.size[1], self.top + self.size[0]
        return self.left > 0, self.top > 0, right < width, bottom < height

    def to_field(self, points: np.ndarray) -> np.ndarray:  # [*, 2] pixels of the photo -> cells
        return (points - np.array([self.left, self.top], np.float32)) * self.scale

    def finer(self, values: np.ndarray) -> np.ndarray:  # [h, w, C] of the grid -> [H, W, C]
        """Values of the grid at every pixel of the window."""
        return cv2.resize(values, self.size[::-1], interpolation=cv2.INTER_LINEAR)


def window_around(landmarks: np.ndarray, photo: tuple[int, int]) -> Window:  # [478, 2]
    """The head with room for its motion, and as much of the shoulders as there is."""
    height, width = photo
    low, high = landmarks.min(axis=0), landmarks.max(axis=0)
    face, middle = float(high[1] - low[1]), (low + high) / 2
    half = (BESIDE + 0.5) * face
    left, right = _clipped(middle[0] - half, middle[0] + half, width)
    top, bottom = _clipped(low[1] - ABOVE * face, high[1] + BELOW * face, height)
    size = bottom - top, right - left
    shrink = min(FIELD_SIDE / max(size), 1.0)
    field = max(round(size[0] * shrink), 8), max(round(size[1] * shrink), 8)
    return Window(left, top, size, field, photo)


def _clipped(low: float, high: float, end: int) -> tuple[int, int]:
    """A range inside 0 to end; narrow strips that would be left over are taken too."""
    spare = 0.15 * (high - low)
    first = 0 if low < spare else int(low)
    last = end if high > end - spare else int(np.ceil(high))
    return first, last
