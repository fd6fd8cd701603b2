"""Where a uv coordinate falls between four texels: the one convention that all kernels share.

Kernels compile this into themselves, and numba's cache looks at their own files only: whoever
changes this one must change those that import it too, or clear `__pycache__`.
"""

import numba
import numpy as np


@numba.njit(cache=True, fastmath=True, inline="always")
def corner(u, v, size):
    """Index of the top-left texel of the four around (u, v), and the weights towards right, below.

    `size` is at least two. Texel centres lie at (i + 0.5) / size; beyond the outermost centres the
    edge texel repeats.
    """
    side = np.float32(size)  # for numba an integer times a float32 is a float64
    half, last = np.float32(0.5), side - np.float32(1)
    column = min(max(u * side - half, np.float32(0)), last)
    row = min(max((np.float32(1) - v) * side - half, np.float32(0)), last)
    left = min(int(column), size - 2)
    top = min(int(row), size - 2)
    return top * size + left, column - np.float32(left), row - np.float32(top)
