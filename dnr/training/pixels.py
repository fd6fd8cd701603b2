"""Batches of pixels for renderers that shade every pixel on its own."""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
import torch
from torch import Tensor

from dnr.raster.surface import Surface
from dnr.training.views import CLEAN, DENSITY_STEPS, NORMAL_STEP, TILE, UV_STEP, Views

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
    arrays = _empty(count)
    filled = 0
    while filled < count:
        chosen = rng.integers(0, len(views.tiles), SPARE * max(count // TILE**2, 1))
        filled = _collect(views.tiles[chosen], *_flat(views), arrays, filled)
    return _batch(arrays)


def clean_pixels(views: Views, view: int) -> PixelBatch:
    """All clean pixels of one photo."""
    state = views.colours[views.starts[view] : views.starts[view + 1], 3]
    arrays = _empty(int(((state & CLEAN) != 0).sum()))
    _collect(views.tiles[views.tiles[:, 0] == view], *_flat(views), arrays, 0)
    return _batch(arrays)


def _empty(count: int) -> tuple[np.ndarray, ...]:
    """Room for uv, normal, view direction, footprint, colour and number of the photo."""
    fields = [np.empty((count, width), np.float32) for width in (2, 3, 3, 1, 3)]
    return (*fields, np.empty(count, np.int64))


def _flat(views: Views) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    return views.geometry, views.colours, views.starts, views.widths, views.rays


def _batch(arrays: tuple[np.ndarray, ...]) -> PixelBatch:
    uv, normal, view, footprint, colour, which = (torch.from_numpy(x) for x in arrays)
    surface = Surface(uv, torch.empty(len(uv), 0), normal, view, footprint)
    return PixelBatch(surface, colour, which)


@numba.njit(cache=True)
def _collect(tiles, geometry, colours, starts, widths, rays, out, filled):
    uv, normal, view, footprint, colour, which = out
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
                footprint[filled, 0] = unpack(geometry[pixel], uv[filled], normal[filled])
                look_back(rays[number], row, column, view[filled])
                for c in range(3):
                    colour[filled, c] = colours[pixel, c] * np.float32(1 / 255)
                which[filled] = number
                filled += 1
    return filled


@numba.njit(cache=True, inline="always")
def unpack(packed, uv, normal):
    """Write uv and unit normal of one pixel of `Views.geometry`; returns its footprint."""
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
    return np.float32(DENSITY_STEPS) / max(packed[4], np.uint16(1))


@numba.njit(cache=True, inline="always")
def look_back(ray, row, column, view):
    """The unit direction from a pixel's surface point back to the camera."""
    half = np.float32(0.5)
    for axis in range(3):
        view[axis] = ray[axis, 0] * (column + half) + ray[axis, 1] * (row + half) + ray[axis, 2]
    over = np.float32(1) / np.sqrt(view[0] ** 2 + view[1] ** 2 + view[2] ** 2)
    for axis in range(3):
        view[axis] *= over
