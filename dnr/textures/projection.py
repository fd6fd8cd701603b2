"""Photos thrown back onto the surface: the texture before any learning."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numba
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from dnr.textures.bilinear import corner
from dnr.textures.pyramid import COLOURS

LEAST_WEIGHT = 1e-3
"""Texels that rest on less count as unseen."""
ROUNDING = 1e-5
"""Brighter than a mean by less than this is as bright: a mean of equals need not equal them."""
THREE = np.float32(3)


class SeenPixels(NamedTuple):
    """Some pixels of one photo that show the surface."""

    uv: np.ndarray  # float32 [N, 2]
    colour: np.ndarray  # float32 [N, 3]
    weight: np.ndarray  # float32 [N]: how much to trust them, such as the facing ratio


def mean_colours(photos: Iterable[SeenPixels], size: int) -> Tensor:  # [S, S, 4]
    """Weighted mean colour of every texel over all photos, and the weight it rests on.

    A pixel counts for its four texels with the squares of its bilinear weights, which keeps the
    mean sharp.
    """
    return _means(photos, size, np.full(size * size, np.inf, np.float32))


def diffuse_colours(photos: Iterable[SeenPixels], size: int, means: Tensor) -> Tensor:
    """The mean over those samples that are no brighter than the texel's mean: without highlights.

    `photos` must be iterable a second time. `means` is what `mean_colours` returned for them.
    """
    luminance = means[..., :COLOURS].mean(dim=-1).reshape(-1)
    return _means(photos, size, (luminance + ROUNDING).numpy())


def _means(photos: Iterable[SeenPixels], size: int, brightest: np.ndarray) -> Tensor:
    sums = np.zeros((size * size, COLOURS + 1), np.float32)
    for seen in photos:
        _splat(*seen, size, brightest, sums)
    sums = torch.from_numpy(sums).reshape(size, size, -1)
    colours = sums[..., :COLOURS] / sums[..., COLOURS:].clamp(min=1e-12)
    return torch.cat([colours, sums[..., COLOURS:]], dim=-1)


@numba.njit(cache=True, fastmath=True)
def _splat(uv, colour, weight, size, brightest, sums):
    for point in range(len(uv)):
        index, x, y = corner(uv[point, 0], uv[point, 1], size)
        luminance = (colour[point, 0] + colour[point, 1] + colour[point, 2]) / THREE
        for which in range(4):
            right = which & 1
            below = which >> 1
            row = index + right + below * size
            if luminance > brightest[row]:
                continue
            share = (x if right else 1 - x) * (y if below else 1 - y)
            share *= share * weight[point]
            for c in range(3):
                sums[row, c] += share * colour[point, c]
            sums[row, 3] += share


@torch.no_grad()
def paint_pyramid(levels: list[Tensor], colours: Tensor) -> None:  # [S, S, 3] each, [S, S, 4]
    """Set `levels`, finest first, so that lookups at finest texel centres give `colours`.

    Coarse levels hold averages; finer ones what is missing. Texels without weight keep nothing of
    their own, so lookups there fall back on coarser levels: gutters and unseen parts fill up.
    """
    images = [colours.permute(2, 0, 1)[None]]
    for _ in levels[1:]:
        finer, weight = images[-1][:, :COLOURS], images[-1][:, COLOURS:]
        sums = functional.avg_pool2d(torch.cat([finer * weight, weight], dim=1), 2)
        mean = sums[:, :COLOURS] / sums[:, COLOURS:].clamp(min=1e-12)
        images.append(torch.cat([mean, sums[:, COLOURS:]], dim=1))
    painted = [_filled(images[-1])]
    for image in reversed(images[:-1]):
        # From each coarser level straight to this one, as lookups do: in two steps it would differ.
        side = image.shape[-2:]
        shown = sum(functional.interpolate(level, side, mode="bilinear") for level in painted)
        known = image[:, COLOURS:] > LEAST_WEIGHT
        painted.append(torch.where(known, image[:, :COLOURS] - shown, 0))
    for level, image in zip(levels, reversed(painted), strict=True):
        level.copy_(image[0].permute(1, 2, 0))


def _filled(image: Tensor) -> Tensor:  # [1, 4, S, S] -> [1, 3, S, S]
    """The coarsest level with its holes filled from their surroundings (the pull-push pyramid)."""
    weight = image[:, COLOURS:].clamp(max=1)
    weighted = torch.cat([image[:, :COLOURS] * weight, weight], dim=1)
    if image.shape[-1] == 1:
        return weighted[:, :COLOURS] / weighted[:, COLOURS:].clamp(min=1e-12)
    sums = functional.avg_pool2d(weighted, 2, ceil_mode=True)
    mean = sums[:, :COLOURS] / sums[:, COLOURS:].clamp(min=1e-12)
    around = _filled(torch.cat([mean, 4 * sums[:, COLOURS:]], dim=1))
    around = functional.interpolate(around, image.shape[-2:], mode="bilinear", align_corners=False)
    known = image[:, COLOURS:] > LEAST_WEIGHT
    return torch.where(known, image[:, :COLOURS], around)
