"""Albedo: patterns as functions of points on a surface, and print on flat charts."""

from __future__ import annotations

import cv2
import numpy as np

from dnr.synthetic.scene import Colour

Image = np.ndarray  # [h, w, 3]
Points = np.ndarray  # [h, w, 3] or [h, w, 2]


def plain(shape: tuple[int, ...], colour: Colour) -> Image:
    """One colour everywhere; `shape` may be that of the points."""
    return np.broadcast_to(np.asarray(colour, np.float32), (*shape[:2], 3)).copy()


def waves(
    points: Points, rng: np.random.Generator, frequency: float, count: int = 12
) -> Image:  # [h, w, 3], each channel about normally distributed
    """Smooth colour noise: a sum of `count` sines per channel, around `frequency` radians."""
    out = np.zeros((*points.shape[:2], 3), np.float32)
    for channel in range(3):
        for _ in range(count):
            direction = rng.normal(size=points.shape[-1])
            direction *= frequency * rng.uniform(0.5, 1.5) / np.linalg.norm(direction)
            out[..., channel] += np.sin(points @ direction + rng.uniform(0, 2 * np.pi))
    return out * np.float32(np.sqrt(2 / count))


def checker(points: Points, cells: float) -> np.ndarray:  # [h, w]
    """True in every second cell of a grid with `cells` cells per unit of length."""
    return np.floor(points * cells).astype(np.int64).sum(axis=-1) % 2 == 0


def paint(image: Image, where: np.ndarray | Image, colour: Colour) -> None:
    """Mix `colour` into `image`, in place; `where` is a mask or a share in [0, 1]."""
    share = np.asarray(where, np.float32)[..., None]
    image += share * (np.asarray(colour, np.float32) - image)


def printed(
    shape: tuple[int, int],  # (height, width)
    lines: list[str],
    height: float = 0.2,  # of a line, as a share of the chart's height
    top: float = 0.1,
    left: float = 0.08,
    weight: float = 0.12,  # stroke width as a share of the line's height
) -> np.ndarray:  # [h, w] in [0, 1]
    """Ink coverage of text in thin strokes, for strong edges inside charts."""
    ink = np.zeros(shape, np.uint8)
    size_px = height * shape[0]
    thickness = max(1, round(weight * size_px))
    for index, line in enumerate(lines):
        base = (round(left * shape[1]), round((top + height) * shape[0] + 1.4 * index * size_px))
        cv2.putText(
            ink, line, base, cv2.FONT_HERSHEY_SIMPLEX, size_px / 22, 255, thickness, cv2.LINE_AA
        )
    return ink.astype(np.float32) / 255


def wood(points: Points, rng: np.random.Generator, light: Colour, dark: Colour) -> Image:
    """A cut along the first two coordinates: growth rings, bent by smooth noise."""
    plane = points[..., :2]
    bend = waves(plane, rng, 2.0)[..., 0] * 0.06 + waves(plane, rng, 9.0)[..., 0] * 0.008
    radius = np.hypot(plane[..., 0] + 0.3, plane[..., 1] * 0.25 + 1.7) + bend
    grain = waves(plane * (1.0, 0.12), rng, 70.0, 8)[..., 1]
    share = 0.75 * ((radius * 11) % 1.0) ** 2 + 0.07 * grain
    image = plain(points.shape, light)
    paint(image, np.clip(share, 0, 1).astype(np.float32), dark)
    return image
