"""How looked-up features change when the lookup moves: the uv gradient of gather.py."""

from __future__ import annotations

import numba
import numpy as np

from dnr.textures.bilinear import corner
from dnr.textures.gather import level_share


@numba.njit(cache=True, fastmath=True)
def uv_slope(texels, sizes, always, uv, footprint, gradient, out):
    """Fill out [N, 2] with the gradient for uv [N, 2], given that for the features [N, C].

    Zero beyond the outermost texel centres, where the edge texel repeats.
    """
    channels = texels.shape[1]
    for point in range(len(uv)):
        along_u = np.float32(0)
        along_v = np.float32(0)
        start = 0
        for size in sizes:
            share = level_share(size, always, footprint[point, 0])
            if share > 0:
                index, x, y = corner(uv[point, 0], uv[point, 1], size)
                first = start + index
                right = np.float32(0)
                down = np.float32(0)
                for c in range(channels):
                    top_left = texels[first, c]
                    top_right = texels[first + 1, c]
                    low_left = texels[first + size, c]
                    low_right = texels[first + size + 1, c]
                    g = gradient[point, c]
                    right += g * ((1 - y) * (top_right - top_left) + y * (low_right - low_left))
                    down += g * ((1 - x) * (low_left - top_left) + x * (low_right - top_right))
                margin = np.float32(0.5) / size
                if margin < uv[point, 0] < 1 - margin:
                    along_u += share * size * right
                if margin < uv[point, 1] < 1 - margin:
                    along_v -= share * size * down  # rows grow downwards, v upwards
            start += size * size
        out[point, 0] = along_u
        out[point, 1] = along_v
