"""The picture without the person: the background as it was seen, inpainted where it never was."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import cv2
import numpy as np

CLEAN_VIEWS = 8
"""Frames in which a pixel must have been free of the person before its colour is trusted."""
CLEAR = 0.035
"""Distance from the person's mask, of the picture's width, at which a pixel counts as free: masks
miss wisps of hair."""


class Plate(NamedTuple):
    image: np.ndarray  # float32 [H, W, 3] in [0, 1]
    known: np.ndarray  # bool [H, W]: seen, not inpainted


class PlateSums:
    """Collects background over frames, at constant memory."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.total = np.zeros((*size, 3), np.float64)
        self.count = np.zeros(size, np.int32)

    def add(self, frame: np.ndarray, person: np.ndarray) -> None:
        """One frame, uint8 [H, W, 3], and its mask, float [H, W], 1 on the person."""
        reach = max(round(CLEAR * frame.shape[1]), 1)
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
        near = cv2.dilate((person > 0.1).astype(np.uint8), disc)
        free = near == 0
        self.total[free] += frame[free]
        self.count += free

    def plate(self) -> Plate:
        """The mean of what was free; a few views are enough if the clip has only few frames."""
        known = self.count >= min(CLEAN_VIEWS, max(int(self.count.max()), 1))
        mean = self.total / np.maximum(self.count, 1)[..., None] / 255
        return Plate(filled(mean.astype(np.float32), known), known)


def background_plate(
    frames: Iterable[tuple[np.ndarray, np.ndarray]], size: tuple[int, int]
) -> Plate:
    """The plate of (frame, mask) pairs, as `PlateSums.add` takes them."""
    sums = PlateSums(size)
    for frame, person in frames:
        sums.add(frame, person)
    return sums.plate()


def filled(image: np.ndarray, known: np.ndarray) -> np.ndarray:  # float32 [H, W, C], bool [H, W]
    """The image with its unknown pixels continued smoothly from the known ones (pull-push).

    Where nothing is known at all it is mid-grey.
    """
    if not known.any():
        return np.full_like(image, 0.5)
    weight = known.astype(np.float32)[..., None]
    return _pull_push(image * weight, weight)


def _pull_push(sums: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """`sums` are colours times `weight`, which is at most 1."""
    mean = sums / np.maximum(weight, 1e-6)
    if min(sums.shape[:2]) <= 1 or (weight > 0.999).all():
        return mean
    height, width = sums.shape[:2]
    half = (max(width // 2, 1), max(height // 2, 1))
    smaller = cv2.resize(np.concatenate([sums, weight], axis=2), half, interpolation=cv2.INTER_AREA)
    less, total = smaller[..., :-1], smaller[..., -1:]
    gain = np.minimum(1 / np.maximum(total, 1e-6), 4)  # a pixel is known once a quarter of it is
    around = _pull_push(less * gain, np.minimum(total * gain, 1))
    around = cv2.resize(around, (width, height), interpolation=cv2.INTER_LINEAR)
    around = around.reshape(sums.shape)
    return weight * mean + (1 - weight) * around
