"""Batches of pixels for renderers that shade every pixel on its own."""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
import torch
from torch import Tensor

from dnr.raster.surface import Surface
from dnr.training.views import CLEAN, NORMAL_STEP, TILE, UV_STEP, Views

SPARE = 3
"""Tiles drawn per tile's worth of pixels wanted, since tiles at rims hold few clean ones."""


class PixelBatch(NamedTuple):
    """N clean pixels and what they see. `surface.position` is empty: nobody reads it here."""

    surface: Surface  # leading [N]
    colour: Tensor  # [N, 3]
    view: Tensor  # [N] int64, which photo


def draw_pixels(views: Views, count: int, rng: np.random.Generator) -> PixelBatch:
    """Exactly `count` clean pixels from random tiles of all views.

    The number never varies, because matrix libraries compile anew for every shape.
    """
    uv, normal, view = (np.empty((count, width), np.float32) for width in (2, 3, 3))
    colour, which = np.empty((count, 3), np.float32), np.empty(count, np.int64)
    filled = 0
    while filled < count:
        chosen = rng.integers(0, len(views.tiles), SPARE * max(count // TILE**2, 1))
        filled = _collect(
            views.tiles[chosen],
            views.geometry,
            views.colours,
            views.starts,
            views.widths,
            views.rays,
            (uv, normal, view, colour, which),
            filled,
        )
    points = [torch.from_numpy(x) for x in (uv, normal, view)]
    surface = Surface(points[0], torch.empty(count, 0), points[1], points[2])
    return PixelBatch(surface, torch.from_numpy(colour), torch.from_numpy(which))


@numba.njit(cache=True)
def _collect(tiles, geometry, colours, starts, widths, rays, out, filled):
    uv, normal, view, colour, which = out
    count = len(uv)
    for index in range(len(tiles)):
        number, first_row, first_column = tiles[index]
        width = widths[number]
        height = (starts[number + 1] - starts[number]) // width
        for row in range(first_row, min(first_row + TILE, height)):
            for column in range(first_column, min(first_column + TILE, width)):
                pixel = starts[number] + row * width + column
                if not colours[pixel, 3] & CLEAN:
                    continue
                if filled == count:
                    return filled
                unpack(geometry[pixel], uv[filled], normal[filled])
                look_back(rays[number], row, column, view[filled])
                for c in range(3):
                    colour[filled, c] = colours[pixel, c] * np.float32(1 / 255)
                which[filled] = number
                filled += 1
    return filled


@numba.njit(cache=True, inline="always")
def unpack(packed, uv, normal):
    """The uv and the unit normal of one pixel of `Views.geometry`."""
    uv[0] = packed[0] * np.float32(UV_STEP)
    uv[1] = packed[1] * np.float32(UV_STEP)
    x = np.float32(np.int16(packed[2])) * np.float32(NORMAL_STEP)
    y = np.float32(np.int16(packed[3])) * np.float32(NORMAL_STEP)
    z = np.float32(1) - abs(x) - abs(y)
    fold = max(-z, np.float32(0))
    x += -fold if x >= 0 else fold
    y += -fold if y >= 0 else fold
    over = np.float32(1) / np.sqrt(x * x + y * y + z * z)
    normal[0] = x * over
    normal[1] = y * over
    normal[2] = z * over


@numba.njit(cache=True, inline="always")
def look_back(ray, row, column, view):
    """The unit direction from a pixel's surface point back to the camera."""
    half = np.float32(0.5)
    for axis in range(3):
        view[axis] = ray[axis, 0] * (column + half) + ray[axis, 1] * (row + half) + ray[axis, 2]
    over = np.float32(1) / np.sqrt(view[0] ** 2 + view[1] ** 2 + view[2] ** 2)
    for axis in range(3):
        view[axis] *= over


def clean_pixels(views: Views, view: int) -> PixelBatch:
    """All clean pixels of one photo."""
    pixels = slice(views.starts[view], views.starts[view + 1])
    count = int(((views.colours[pixels, 3] & CLEAN) != 0).sum())
    uv, normal, back = (np.empty((count, width), np.float32) for width in (2, 3, 3))
    colour, which = np.empty((count, 3), np.float32), np.empty(count, np.int64)
    tiles = views.tiles[views.tiles[:, 0] == view]
    arrays = (views.geometry, views.colours, views.starts, views.widths, views.rays)
    _collect(tiles, *arrays, (uv, normal, back, colour, which), 0)
    points = [torch.from_numpy(x) for x in (uv, normal, back)]
    surface = Surface(points[0], torch.empty(count, 0), points[1], points[2])
    return PixelBatch(surface, torch.from_numpy(colour), torch.from_numpy(which))
