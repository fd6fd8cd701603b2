"""Colour as one image of the finest level, and edits of it written back into all levels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from scipy.ndimage import binary_dilation, label
from torch import Tensor
from torch.nn import functional

from dnr.textures.pyramid import COLOURS, NeuralTexture

REACH = 8
"""Finest texels per texel of the coarsest level that takes the whole of a change."""


class Rows(NamedTuple):
    """A rectangle of one level before an edit, to undo it bit by bit."""

    level: int
    top: int
    left: int
    values: Tensor  # [h, w, C]
    channel: int = 0  # the first of them


@torch.no_grad()
def finest_colours(texture: NeuralTexture) -> np.ndarray:  # float32 [S, S, 3]
    """The sum of all levels at the centres of the finest level's texels."""
    levels = [level.detach() for level in texture.colour_levels()]
    side = levels[0].shape[:2]
    images = [level.permute(2, 0, 1)[None] for level in levels]
    grown = [images[0], *(functional.interpolate(i, side, mode="bilinear") for i in images[1:])]
    return torch.stack(grown).sum(dim=0)[0].permute(1, 2, 0).cpu().numpy()


def add_colour(texture: NeuralTexture, change: np.ndarray, known: np.ndarray) -> list[Rows]:
    """Add `change` [S, S, 3] to the colour; see `_add`."""
    return _add([level.detach() for level in texture.colour_levels()], change, known)


def add_features(texture: NeuralTexture, change: np.ndarray, known: np.ndarray) -> list[Rows]:
    """Add `change` [S, S, C - 3] to what only the renderer reads, S texels of the finest features.

    See `_add`.
    """
    levels = [level[..., COLOURS:] for level in whole_levels(texture)]
    finer = len(texture.config.colour_sizes)
    rows = _add(levels[finer:], change, known)
    return [own._replace(level=own.level + finer, channel=COLOURS) for own in rows]


def whole_levels(texture: NeuralTexture) -> list[Tensor]:  # [S, S, 3 or C] each
    """Views of all levels with all that they hold, finest first, as `colour_levels` has them."""
    return [
        pyramid.level(index).detach()
        for pyramid in (texture.detail, texture.features)
        for index in range(len(pyramid.sizes))
    ]


@torch.no_grad()
def _add(
    levels: list[Tensor],  # [S, S, C] each, finest first, every next half as large
    change: np.ndarray,  # float32 [S, S, C], zero where nothing changes
    known: np.ndarray,  # bool [S, S]: texels that show surface
) -> list[Rows]:
    """Add `change` so that near views show exactly that, and far ones its average.

    Every level takes what its texels can hold of it; finer ones hold the rest. Levels that are
    more than `REACH` times coarser than the finest take part only deep inside, because their texels
    would show at rims, where pixels are that coarse, far beyond the change. Returns what was there
    before; farther away than that reach every bit stays.
    """
    before = []
    sides = [len(levels[0]) // len(level) for level in levels]  # of their texels, in finest ones
    changed = (change != 0).any(axis=-1)
    for top, bottom, left, right in _windows(changed, sides[-1]):
        window = slice(top, bottom), slice(left, right)
        values = np.concatenate([change[window], known[window][..., None]], axis=-1)
        free = torch.from_numpy(changed[window] | ~known[window]).to(levels[0])
        added = _split(torch.from_numpy(values).to(levels[0]), free, sides)
        for index, (level, side, own) in enumerate(zip(levels, sides, added, strict=True)):
            rows = slice(top // side, bottom // side), slice(left // side, right // side)
            before.append(Rows(index, rows[0].start, rows[1].start, level[rows].clone()))
            level[rows] += own
    return before


def _split(values: Tensor, free: Tensor, sides: list[int]) -> list[Tensor]:
    """A change [h, w, C + 1], the last telling known texels, as levels that add up to it."""
    image = values.permute(2, 0, 1)[None]
    added: list[Tensor] = []
    for side in reversed(sides):
        sums = functional.avg_pool2d(
            torch.cat([image[:, :-1] * image[:, -1:], image[:, -1:]], 1), side
        )
        mean = sums[:, :-1] / sums[:, -1:].clamp(min=1e-12)
        shown = torch.zeros_like(mean)
        for level in added:
            shown += functional.interpolate(level, mean.shape[-2:], mode="bilinear")
        own = torch.where(sums[:, -1:] > 0, mean - shown, 0)
        if side > REACH:  # a texel of this level is seen over three of them
            blocked = functional.max_pool2d(1 - free[None, None], side)
            own = own * (functional.max_pool2d(blocked, 3, 1, 1) == 0)
        added.append(own)
    return [level[0].permute(1, 2, 0) for level in reversed(added)]


@torch.no_grad()
def restore(texture: NeuralTexture, before: list[Rows]) -> None:
    """Put back what `add_colour` or `add_features` has returned."""
    levels = whole_levels(texture)
    for rows in reversed(before):
        height, width, count = rows.values.shape
        own = levels[rows.level][rows.top : rows.top + height, rows.left : rows.left + width]
        own[..., rows.channel : rows.channel + count].copy_(rows.values)


def _windows(changed: np.ndarray, step: int) -> Iterator[tuple[int, int, int, int]]:
    """Rectangles (top, bottom, left, right) of whole coarsest texels around what has changed.

    They leave two coarsest texels of room, which makes the coarsest change zero on their rims.
    """
    side = len(changed) // step
    coarse = changed.reshape(side, step, side, step).any(axis=(1, 3))
    grown = binary_dilation(coarse, np.ones((5, 5), bool))
    labelled: tuple[np.ndarray, int] = label(grown, np.ones((3, 3), int))  # type: ignore
    number, count = labelled
    boxes = [np.nonzero(number == index + 1) for index in range(count)]
    found = [[r.min(), r.max() + 1, c.min(), c.max() + 1] for r, c in boxes]
    for top, bottom, left, right in _apart(found):
        yield top * step, bottom * step, left * step, right * step


def _apart(boxes: list[list[int]]) -> list[list[int]]:
    """Boxes that overlap, joined until none do: no texel may be changed twice."""
    boxes = list(boxes)
    for first in range(len(boxes)):
        for second in range(first):
            a, b = boxes[first], boxes[second]
            if a[0] < b[1] and b[0] < a[1] and a[2] < b[3] and b[2] < a[3]:
                joined = [min(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), max(a[3], b[3])]
                return _apart([*(x for x in boxes if x is not a and x is not b), joined])
    return boxes
