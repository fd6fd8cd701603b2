"""Brush strokes and outlines as coverage: how much of each place they paint, at any resolution."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numba
import numpy as np

MOST_POINTS = 4096
"""Of one stroke or outline."""


class Stroke(NamedTuple):
    """A round brush along a line; one point makes a dab."""

    points: np.ndarray  # float32 [K, 2]
    radius: float
    hardness: float  # 1: full to the rim; 0: fades from the middle on


class Outline(NamedTuple):
    """The inside of a closed polygon, even-odd; its edge fades over `feather` on both sides."""

    points: np.ndarray  # float32 [K, 2], K >= 3
    feather: float


Shape = Stroke | Outline


def coverage(shape: Shape, places: np.ndarray, unit: np.ndarray) -> np.ndarray:  # -> float32 [N]
    """How much `shape` covers each of `places` [N, 2], in [0, 1].

    `unit` [N] is the side of what a place stands for, in the same unit: edges are never harder than
    that, so that they come out smooth.
    """
    if isinstance(shape, Stroke):
        reach = shape.radius + unit
        near = _in_box(places, shape.points, float(reach.max(initial=0.0)))
        distance = _to_line(places[near], shape.points)
        soft = np.maximum((1 - shape.hardness) * shape.radius, unit[near])
        # Half of a hard edge lies outside, so that the painted area is that of the brush.
        covered = (shape.radius + np.where(soft > unit[near], 0, soft / 2) - distance) / soft
    else:
        soft = np.maximum(2 * shape.feather, unit)
        near = _in_box(places, shape.points, float(soft.max(initial=0.0)))
        distance = _to_outline(places[near], shape.points)
        covered = 0.5 + distance / soft[near]
    out = np.zeros(len(places), np.float32)
    covered = np.clip(covered, 0, 1)
    out[near] = covered * covered * (3 - 2 * covered)  # smooth where it begins and ends
    return out


def circle(centre: np.ndarray, radius: float, feather: float) -> Outline:
    """A disc as an outline of 96 corners."""
    angle = np.arange(96) * (2 * np.pi / 96)
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1) * radius
    return Outline((centre + ring).astype(np.float32), feather)


def _in_box(places: np.ndarray, points: np.ndarray, margin: float) -> np.ndarray:  # int64 [M]
    low, high = points.min(axis=0) - margin, points.max(axis=0) + margin
    x, y = places[:, 0], places[:, 1]
    return np.flatnonzero((x >= low[0]) & (x <= high[0]) & (y >= low[1]) & (y <= high[1]))


@numba.njit(cache=True)
def _to_line(places, points):
    """Distance to a polyline."""
    out = np.empty(len(places), np.float32)
    for n in range(len(places)):
        best = np.inf
        for k in range(max(len(points) - 1, 1)):
            ax, ay = points[k]
            bx, by = points[min(k + 1, len(points) - 1)]
            dx, dy = bx - ax, by - ay
            px, py = places[n, 0] - ax, places[n, 1] - ay
            length = dx * dx + dy * dy
            t = min(max((px * dx + py * dy) / length, 0.0), 1.0) if length > 0 else 0.0
            best = min(best, (px - t * dx) ** 2 + (py - t * dy) ** 2)
        out[n] = np.sqrt(best)
    return out


def _to_outline(places: np.ndarray, points: np.ndarray) -> np.ndarray:  # float32 [N]
    """Signed distance to a closed polygon, positive inside."""
    ring = np.concatenate([points, points[:1]]).astype(np.float32)
    distance = _to_line(places, ring)
    return np.where(_inside(places, ring), distance, -distance)


@numba.njit(cache=True)
def _inside(places, ring):
    out = np.zeros(len(places), np.bool_)
    for n in range(len(places)):
        x, y = places[n]
        odd = False
        for k in range(len(ring) - 1):
            ax, ay = ring[k]
            bx, by = ring[k + 1]
            if (ay > y) != (by > y) and x < ax + (y - ay) / (by - ay) * (bx - ax):
                odd = not odd
        out[n] = odd
    return out


def sampled(picture: np.ndarray, places: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """Values of `picture` [H, W, C] at `places` [N, 2] (column and row), 0 outside -> [N, C].

    Where a place stands for more than a pixel (`unit` [N] of them a side) the picture is reduced
    first, so that fine patterns average out instead of breaking up.
    """
    scale = float(np.median(unit)) if len(unit) else 1.0
    step = max(int(scale), 1)
    reduced = picture
    if step > 1:
        height, width = picture.shape[:2]
        size = (max(width // step, 1), max(height // step, 1))
        reduced = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    ratio = np.array([reduced.shape[1] / picture.shape[1], reduced.shape[0] / picture.shape[0]])
    grid = (places * ratio - 0.5).astype(np.float32)
    # OpenCV's remap takes at most 32767 rows or columns: lay the list out as an image.
    rows = -(-len(grid) // 1024)
    if not rows:
        return np.zeros((0, picture.shape[2]), np.float32)
    padded = np.full((rows * 1024, 2), -10, np.float32)
    padded[: len(grid)] = grid
    across, down = padded.T.reshape(2, rows, 1024)
    values = cv2.remap(reduced.astype(np.float32), across, down, cv2.INTER_LINEAR)
    return values.reshape(-1, picture.shape[2])[: len(grid)]
