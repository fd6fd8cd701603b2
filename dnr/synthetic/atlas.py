"""Where the charts of all solids lie in the one square texture."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dnr.synthetic.primitives import BOX, CYLINDER, DISC, SPHERE
from dnr.synthetic.scene import Solid
from dnr.synthetic.vectors import kernel

GUTTER = 8
"""Texels between charts, so that bilinear lookups and mipmaps of neighbours do not mix."""


def chart_extents(solid: Solid) -> list[tuple[float, float]]:
    """Width and height of each chart in units of the world."""
    x, y, z = solid.half_size
    if solid.kind == SPHERE:
        side = np.pi / 2 * (x + y + z) / 3
        return [(side, side)] * 6
    if solid.kind == BOX:
        return [(2 * y, 2 * z)] * 2 + [(2 * x, 2 * z)] * 2 + [(2 * x, 2 * y)] * 2
    if solid.kind == CYLINDER:
        return [(np.pi * (x + y), 2 * z)] + [(2 * x, 2 * y)] * 2
    assert solid.kind == DISC
    return [(2 * x, 2 * y)]


def pack_charts(
    solids: tuple[Solid, ...], detail: Mapping[str, float], size: int
) -> np.ndarray:  # [C, 4]: first column, first row, one past the last of each
    """Charts on shelves, as large as fits; `detail` scales the charts of a named solid."""
    extents = np.array(
        [
            (width * detail.get(solid.name, 1.0), height * detail.get(solid.name, 1.0))
            for solid in solids
            for width, height in chart_extents(solid)
        ]
    )
    small, large = 0.0, size / extents.max()
    for _ in range(30):  # bisection on texels per unit of length
        middle = (small + large) / 2
        if _shelves(extents, middle, size) is None:
            large = middle
        else:
            small = middle
    packed = _shelves(extents, small, size)
    assert packed is not None
    return packed


def _shelves(extents: np.ndarray, scale: float, size: int) -> np.ndarray | None:
    """The packing at one scale, or None when it does not fit."""
    sizes = np.maximum(np.floor(extents * scale), 4).astype(np.int64)
    rectangles = np.zeros((len(sizes), 4), np.int64)
    column, row, shelf = GUTTER, GUTTER, 0
    for index in np.lexsort((-sizes[:, 0], -sizes[:, 1])):
        width, height = sizes[index]
        if column + width + GUTTER > size:
            column, row, shelf = GUTTER, row + shelf + GUTTER, 0
        if column + width + GUTTER > size or row + height + GUTTER > size:
            return None
        rectangles[index] = column, row, column + width, row + height
        column, shelf = column + width + GUTTER, max(shelf, height)
    return rectangles


@kernel
def to_uv(rectangle: np.ndarray, size: int, s: float, t: float) -> tuple[float, float]:
    """uv of (s, t) in a chart; v points up, the rows of `rectangle` point down."""
    u = (rectangle[0] + s * (rectangle[2] - rectangle[0])) / size
    v = 1.0 - (rectangle[3] - t * (rectangle[3] - rectangle[1])) / size
    return u, v


def chart_grid(rectangle: np.ndarray) -> np.ndarray:  # [h, w, 2]
    """(s, t) of the centres of a chart's texels."""
    width, height = rectangle[2] - rectangle[0], rectangle[3] - rectangle[1]
    s = (np.arange(width) + 0.5) / width
    t = 1.0 - (np.arange(height) + 0.5) / height
    return np.stack(np.meshgrid(s, t, indexing="xy"), axis=-1)


def fill_gutters(
    image: np.ndarray,  # [A, A, K], written in place
    rectangles: np.ndarray,
) -> None:
    """Repeat the edge texels of every chart half a gutter outwards."""
    margin = GUTTER // 2
    for left, top, right, bottom in rectangles:
        image[top:bottom, left - margin : left] = image[top:bottom, left : left + 1]
        image[top:bottom, right : right + margin] = image[top:bottom, right - 1 : right]
        columns = slice(left - margin, right + margin)
        image[top - margin : top, columns] = image[top : top + 1, columns]
        image[bottom : bottom + margin, columns] = image[bottom - 1 : bottom, columns]
