"""What changes slowly is worked out on a coarse atlas and brought to the finer one."""

from __future__ import annotations

import numpy as np

from dnr.editing.atlas import Atlas

LEAST_WEIGHT = 1e-3


def brought_to(
    atlas: Atlas,
    coarse: Atlas,  # of the same mesh, fewer texels
    values: np.ndarray,  # float32 [M, C] of its texels
    otherwise: np.ndarray,  # float32 [C], where it has no texel
) -> np.ndarray:  # float32 [N, C]
    """Values of coarse texels at the finer ones, between neighbours of one chart."""
    step = atlas.size // coarse.size
    row, column = np.divmod(atlas.index, atlas.size)
    y, x = (row + 0.5) / step - 0.5, (column + 0.5) / step - 0.5
    top, left = np.floor(y).astype(np.int64), np.floor(x).astype(np.int64)
    total = np.zeros((len(row), values.shape[1]), np.float32)
    weights = np.zeros((len(row), 1), np.float32)
    for down in (0, 1):
        for right in (0, 1):
            r, c = top + down, left + right
            ok = (r >= 0) & (r < coarse.size) & (c >= 0) & (c < coarse.size)
            slot = coarse.slot[np.where(ok, r * coarse.size + c, 0)]
            ok &= (slot >= 0) & (coarse.chart[slot] == atlas.chart)
            weight = np.where(ok, (1 - np.abs(y - r)) * (1 - np.abs(x - c)), 0)[:, None]
            total += (weight * values[slot]).astype(np.float32)
            weights += weight.astype(np.float32)
    found = total / np.maximum(weights, LEAST_WEIGHT)
    return np.where(weights > LEAST_WEIGHT, found, otherwise.astype(np.float32))


def reduced(
    atlas: Atlas,
    coarse: Atlas,
    values: np.ndarray,  # float32 [N, C]
    weight: np.ndarray,  # float32 or bool [N]
) -> tuple[np.ndarray, np.ndarray]:  # float32 [M, C], [M]
    """Weighted means over the finer texels in each coarse one, and the share that was weighed."""
    step, side = atlas.size // coarse.size, coarse.size
    columns = [values * weight[:, None], weight[:, None], np.ones((len(weight), 1))]
    picture = atlas.image(np.concatenate(columns, axis=1).astype(np.float32))
    sums = picture.reshape(side, step, side, step, -1).sum(axis=(1, 3))
    sums = sums.reshape(side * side, -1)[coarse.index]
    mean = sums[:, :-2] / np.maximum(sums[:, -2:-1], 1e-6)
    return mean, sums[:, -2] / np.maximum(sums[:, -1], 1)
