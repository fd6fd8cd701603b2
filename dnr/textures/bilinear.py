"""Where a uv coordinate falls between four texels: the one convention that all kernels share."""

import numba
import numpy as np


@numba.njit(cache=True, fastmath=True, inline="always")
def corner(u, v, size):
    """Index of the top-left texel of the four around (u, v), and the weights towards right, below.

    Texel centres lie at (i + 0.5) / size; beyond the outermost centres the edge texel repeats.
    """
    half = np.float32(0.5)
    last = np.float32(size - 1)
    column = min(max(u * size - half, np.float32(0)), last)
    row = min(max((np.float32(1) - v) * size - half, np.float32(0)), last)
    left = min(int(column), size - 2)
    top = min(int(row), size - 2)
    return top * size + left, np.float32(column - left), np.float32(row - top)
