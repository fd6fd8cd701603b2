"""A square cut out of every frame of a clip, and its exact inverse."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

ROOM = 2.6
"""Side of the square, in heights of the face from brow to chin."""
SEAM = 0.08
"""Width of the soft border, of the side, where the square ends inside the frame."""


@dataclass(frozen=True)
class Square:
    """Stands still in the frame, so the seam around it cannot flicker."""

    left: int
    top: int
    side: int  # pixels of the frame
    size: int  # pixels of the avatar's own pictures
    frame: tuple[int, int]  # (height, width)

    @property
    def scale(self) -> float:
        """Avatar pixels per frame pixel."""
        return self.size / self.side

    def cut(self, frame: np.ndarray) -> np.ndarray:  # [H, W, C] -> [S, S, C]
        """The square out of a frame, resampled to the avatar's size."""
        rows, columns = self._slices()
        finer = self.size >= self.side
        method = cv2.INTER_LINEAR if finer else cv2.INTER_AREA
        return cv2.resize(frame[rows, columns], (self.size, self.size), interpolation=method)

    def enlarged(self, picture: np.ndarray) -> np.ndarray:  # [S, S, C] -> [side, side, C]
        """An avatar's picture in pixels of the frame, pixel centres in the same places as cut."""
        if self.size == self.side:
            return picture
        method = cv2.INTER_AREA if self.size > self.side else cv2.INTER_CUBIC
        return cv2.resize(picture, (self.side, self.side), interpolation=method)

    def seam(self) -> np.ndarray:  # float32 [side, side, 1]
        """How much the avatar's picture counts: less towards borders that lie inside the frame."""
        height, width = self.frame
        ramp = np.minimum((np.arange(self.side, dtype=np.float32) + 0.5) / (SEAM * self.side), 1)
        ramp = ramp * ramp * (3 - 2 * ramp)
        whole = np.ones_like(ramp)
        across = (ramp if self.left > 0 else whole) * (
            ramp[::-1] if self.left + self.side < width else whole
        )
        down = (ramp if self.top > 0 else whole) * (
            ramp[::-1] if self.top + self.side < height else whole
        )
        return (down[:, None] * across[None])[..., None]

    def paste(self, picture: np.ndarray, frame: np.ndarray) -> np.ndarray:
        """`picture` [S, S, 3] in its place in a copy of `frame` [H, W, 3], float32 in [0, 1]."""
        return self.placed(self.enlarged(picture), frame)

    def placed(self, inside: np.ndarray, frame: np.ndarray) -> np.ndarray:
        """The same for a picture [side, side, 3] that has the frame's own pixels."""
        rows, columns = self._slices()
        result = frame.copy()
        result[rows, columns] += self.seam() * (inside - frame[rows, columns])
        return result

    def _slices(self) -> tuple[slice, slice]:
        return slice(self.top, self.top + self.side), slice(self.left, self.left + self.side)


def square_around(
    points: np.ndarray,  # [T, N, 2] landmarks of the face in pixels of the frame
    frame: tuple[int, int],  # (height, width)
    size: int,
) -> Square:
    """The square that keeps the head and its surroundings in view all the time.

    It lies inside the frame; where little of the frame is left out, it takes as much as it can.
    """
    height, width = frame
    low, high = (
        np.percentile(points.min(axis=1), 2, axis=0),
        np.percentile(points.max(axis=1), 98, axis=0),
    )
    face = float(np.median(points[..., 1].max(axis=1) - points[..., 1].min(axis=1)))
    middle = (low + high) / 2 + [0.0, 0.05 * face]
    side = max(ROOM * face, float((high - low).max()) + (ROOM - 1) * face * 0.8)
    most = min(height, width)
    side = most if side > 0.8 * most else round(side)
    left = int(np.clip(round(middle[0] - side / 2), 0, width - side))
    top = int(np.clip(round(middle[1] - side / 2), 0, height - side))
    return Square(left, top, int(side), size, frame)
