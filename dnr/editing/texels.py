"""Colour as one image of the finest level, and edits of it written back into all levels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np
import torch
from scipy.ndimage import binary_dilation, label
from torch import Tensor
from torch.nn import functional

from dnr.editing.atlas import Atlas
from dnr.textures.projection import paint_pyramid
from dnr.textures.pyramid import NeuralTexture

RATIO_BLUR = 2.0
"""Texels over which the ratio of trained to photographed colour is averaged: paint must not take
over the print that lies under it."""
RATIO_RANGE = (0.5, 2.0)
LEAST_COLOUR = 4 / 255
"""Darker photographed colour says nothing about that ratio."""


class Rows(NamedTuple):
    """A rectangle of one level before an edit, to undo it bit by bit."""

    level: int
    top: int
    left: int
    values: Tensor  # [h, w, 3]


@torch.no_grad()
def finest_colours(texture: NeuralTexture) -> np.ndarray:  # float32 [S, S, 3]
    """The sum of all levels at the centres of the finest level's texels."""
    levels = [level.detach() for level in texture.colour_levels()]
    side = levels[0].shape[:2]
    images = [level.permute(2, 0, 1)[None] for level in levels]
    grown = [images[0], *(functional.interpolate(i, side, mode="bilinear") for i in images[1:])]
    return torch.stack(grown).sum(dim=0)[0].permute(1, 2, 0).cpu().numpy()


def trained_over_photographed(
    colours: np.ndarray,  # float32 [S, S, 3], trained
    diffuse: np.ndarray,  # uint8 [S, S, 3], photographed, without highlights
    atlas: Atlas,
) -> np.ndarray:  # float32 [S, S]
    """Smooth ratio of their brightness: the unit in which the renderer wants paint; 1 if unknown.

    The network scales colours, so training may settle on any product; it drifts by some per cent.
    """
    photographed = diffuse.astype(np.float32).mean(axis=-1) / 255
    known = (photographed > LEAST_COLOUR) & (atlas.slot.reshape(photographed.shape) >= 0)
    blurred = [
        cv2.GaussianBlur(np.where(known, image, 0).astype(np.float32), (0, 0), RATIO_BLUR)
        for image in (colours.mean(axis=-1), photographed)
    ]
    weight = cv2.GaussianBlur(known.astype(np.float32), (0, 0), RATIO_BLUR)
    ratio = blurred[0] / np.maximum(blurred[1], 1e-6)
    return np.where(weight > 0.05, np.clip(ratio, *RATIO_RANGE), 1).astype(np.float32)


@torch.no_grad()
def add_colour(
    texture: NeuralTexture,
    change: np.ndarray,  # float32 [S, S, 3], zero where nothing changes
    known: np.ndarray,  # bool [S, S]: texels that show surface
) -> list[Rows]:
    """Add `change` to the texture so that near views show exactly that, and far ones its average.

    Every level takes what its texels can hold of it; finer ones hold the rest. Returns what was
    there before. Levels beyond a texel of the coarsest one around the change stay bit by bit.
    """
    before = []
    levels = [level.detach() for level in texture.colour_levels()]
    step = len(levels[0]) // len(levels[-1])
    for top, bottom, left, right in _windows((change != 0).any(axis=-1), step):
        part = change[top:bottom, left:right]
        weight = known[top:bottom, left:right, None].astype(np.float32)
        values = torch.from_numpy(np.concatenate([part, weight], axis=-1)).to(levels[0])
        sides = [len(levels[0]) // len(level) for level in levels]
        added = [
            values.new_zeros((bottom - top) // side, (right - left) // side, 3) for side in sides
        ]
        paint_pyramid(added, values)
        for index, (level, side, own) in enumerate(zip(levels, sides, added, strict=True)):
            rows = slice(top // side, bottom // side), slice(left // side, right // side)
            before.append(Rows(index, rows[0].start, rows[1].start, level[rows].clone()))
            level[rows] += own
    return before


@torch.no_grad()
def restore(texture: NeuralTexture, before: list[Rows]) -> None:
    """Put back what `add_colour` has returned."""
    levels = [level.detach() for level in texture.colour_levels()]
    for rows in reversed(before):
        height, width = rows.values.shape[:2]
        own = levels[rows.level][rows.top : rows.top + height, rows.left : rows.left + width]
        own.copy_(rows.values)


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
