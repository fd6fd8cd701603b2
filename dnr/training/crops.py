"""Crops for renderers that look at images."""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
import torch
from torch import Tensor

from dnr.raster.surface import Surface
from dnr.training.pixels import look_back, unpack
from dnr.training.views import SEEN, VALID, Views


class Crop(NamedTuple):
    """One crop of one photo, as a batch of one."""

    surface: Surface  # leading [1, H, W]; `position` is empty
    seen: Tensor  # [1, H, W] bool
    valid: Tensor  # [1, H, W] bool: the photo has data here
    colour: Tensor  # [1, 3, H, W]
    alpha: Tensor  # [1, 1, H, W]: 1 on the object and wherever there is no mask
    rays: Tensor  # [1, H, W, 3], unit, away from the camera
    view: int


def draw_crop(views: Views, side: int, rng: np.random.Generator) -> Crop:
    """A random crop of at most `side` pixels a side, centred on a random tile of surface."""
    number, row, column = views.tiles[rng.integers(0, len(views.tiles))]
    height, width = views.size(number)
    tall, wide = min(side, height), min(side, width)
    first_row = int(np.clip(row - tall // 2 + rng.integers(-8, 9), 0, height - tall))
    first_column = int(np.clip(column - wide // 2 + rng.integers(-8, 9), 0, width - wide))
    crop = read_crop(views, int(number), (first_row, first_column), (tall, wide))
    views.give_back()  # else all photos end up in memory, beside a network's activations
    return crop


def read_crop(views: Views, view: int, first: tuple[int, int], size: tuple[int, int]) -> Crop:
    """The crop of one photo that begins at `first` (row, column)."""
    width = int(views.widths[view])
    rows = views.starts[view] + (first[0] + np.arange(size[0])) * width + first[1]
    pixels = (rows[:, None] + np.arange(size[1])).reshape(-1)
    fields = [np.zeros((len(pixels), width), np.float32) for width in (2, 3, 3, 1)]
    _unpack_crop(views.geometry[pixels], views.rays[view], first, size[1], *fields)
    colours = views.colours[pixels]
    state = torch.from_numpy(colours[:, 3].reshape(1, *size))
    seen = (state & SEEN) != 0
    colour = torch.from_numpy(colours[:, :3].astype(np.float32) / 255).reshape(1, *size, 3)
    alpha = torch.from_numpy(colours[:, 4].astype(np.float32) / 255).reshape(1, 1, *size)
    uv, normal, back, footprint = (torch.from_numpy(x).reshape(1, *size, -1) for x in fields)
    hit = seen[..., None]
    nowhere = torch.empty(1, *size, 0)
    surface = Surface(uv * hit, nowhere, normal * hit, back * hit, footprint * hit)
    valid = (state & VALID) != 0
    return Crop(surface, seen, valid, colour.permute(0, 3, 1, 2), alpha, -back, view)


@numba.njit(cache=True)
def _unpack_crop(packed, ray, first, width, uv, normal, back, footprint):
    for index in range(len(packed)):
        footprint[index, 0] = unpack(packed[index], uv[index], normal[index])
        look_back(ray, first[0] + index // width, first[1] + index % width, back[index])
