"""Which texels lie side by side on the surface, over the seams of the texture too."""

from __future__ import annotations

import numpy as np
from scipy.spatial import KDTree

from dnr.editing.atlas import Atlas

STEPS = ((-1, 0), (0, 1), (1, 0), (0, -1))  # rows and columns
SEAM_REACH = 2.0
"""Texels of two charts are neighbours if they lie closer than so many texels."""
MOST_TURN = 0.5
"""And if their normals differ by less than a right angle: this cosine."""


def neighbour_texels(atlas: Atlas) -> np.ndarray:  # int64 [N, 4], -1 for none
    """Left, right, upper and lower neighbours; across a seam the nearest texel of the other chart.

    Gutters are skipped: what lies there is the same surface a second time.
    """
    row, column = np.divmod(atlas.index, atlas.size)
    found = np.full((len(atlas.index), 4), -1, np.int64)
    for side, (down, right) in enumerate(STEPS):
        r, c = row + down, column + right
        ok = (r >= 0) & (r < atlas.size) & (c >= 0) & (c < atlas.size)
        slot = atlas.slot[np.where(ok, r * atlas.size + c, 0)]
        ok &= (slot >= 0) & atlas.inside[slot] & atlas.inside & (atlas.chart[slot] == atlas.chart)
        found[ok, side] = slot[ok]
    return _over_seams(atlas, found)


def _over_seams(atlas: Atlas, found: np.ndarray) -> np.ndarray:
    rim = np.flatnonzero(atlas.inside & (found < 0).any(axis=1))
    if not len(rim):
        return found
    reach = SEAM_REACH * atlas.spacing
    count = min(12, len(rim))
    away, near = KDTree(atlas.position[rim]).query(
        atlas.position[rim], k=count, distance_upper_bound=reach
    )
    away, near = away.reshape(len(rim), -1), near.reshape(len(rim), -1)
    other = rim[np.minimum(near, len(rim) - 1)]
    fits = np.isfinite(away) & (atlas.chart[other] != atlas.chart[rim][:, None])
    fits &= (atlas.normal[other] * atlas.normal[rim][:, None]).sum(axis=2) > MOST_TURN
    best = np.where(fits, away, np.inf).argmin(axis=1)
    rows = np.arange(len(rim))
    partner = np.where(fits[rows, best], other[rows, best], -1)
    for side in range(4):
        empty = found[rim, side] < 0
        found[rim[empty], side] = partner[empty]
    return found
