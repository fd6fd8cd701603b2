"""The last lines of a per-pixel renderer, in one pass over memory: what torch needs four for."""

import numba
import numpy as np

ZERO, ONE = np.float32(0), np.float32(1)


@numba.njit(cache=True, fastmath=True, nogil=True, error_model="numpy")
def tint(features, numbers, out):
    """Fill out [N, 3] with features' colour times (1 + gain) plus highlight plus residual, between
    0 and 1; numbers [N, 5] holds gain, highlight and residual of each point."""
    for p in range(len(out)):
        gain = ONE + numbers[p, 0]
        highlight = numbers[p, 1]
        for c in range(3):
            value = features[p, c] * gain + highlight + numbers[p, 2 + c]
            out[p, c] = min(max(value, ZERO), ONE)
