"""Colours from their differences: seamless pasting, and filling a hole from its rim."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.linalg import splu

MOST_UNKNOWNS = 400_000
"""More texels at once would take minutes."""
WHISPER = 1e-6
"""Of the guide itself: patches without any rim would have no solution."""


def solved(
    beside: np.ndarray,  # int64 [N, 4] neighbours of every texel, -1 for none
    inside: np.ndarray,  # int64 [M]: texels to solve for
    known: np.ndarray,  # float32 [N, C] values everywhere; those outside of `inside` are kept
    guide: np.ndarray,  # float32 [N, C]: its differences between neighbours are wanted
    heed: np.ndarray | float = 1.0,  # [M, 4] or one number: how much of each
    hold: np.ndarray | float = WHISPER,  # [M] or one number: how much the guide's values count
) -> np.ndarray:  # float32 [M, C]
    """Values whose differences come closest to the guide's, and which meet `known` at the rim.

    Texels that are joined to no rim keep the guide's values.
    """
    place = np.full(len(known), -1, np.int64)
    place[inside] = np.arange(len(inside))
    near = beside[inside]
    exists = near >= 0
    within = exists & (place[near] >= 0)
    # Seams are not always mutual neighbours: count every link once from each end that lists it.
    row = np.repeat(np.arange(len(inside)), 4).reshape(-1, 4)
    diagonal = exists.sum(axis=1).astype(np.float64)
    right = (guide[inside][:, None] - guide[near]) * (exists * heed)[..., None]
    right = right.sum(axis=1).astype(np.float64)
    rim = exists & ~within
    right += (known[near] * rim[..., None]).sum(axis=1)
    hold = np.broadcast_to(hold, len(inside))
    diagonal += hold
    right += hold[:, None] * guide[inside]
    columns = np.concatenate([np.arange(len(inside)), place[near][within]])
    rows = np.concatenate([np.arange(len(inside)), row[within]])
    values = np.concatenate([diagonal, -np.ones(int(within.sum()))])
    matrix = coo_array((values, (rows, columns)), (len(inside), len(inside))).tocsc()
    return splu(matrix).solve(right).astype(np.float32)
