"""A small z-buffer of its own, so that the actor's pictures do not depend on dnr.raster."""

from __future__ import annotations

import math

import numba
import numpy as np


@numba.njit(cache=True)
def draw(
    corners: np.ndarray,  # [F, 3, 3] float64: column, row in pixels, depth
    size: tuple[int, int],
) -> tuple[np.ndarray, np.ndarray]:  # [H, W] int32, [H, W, 3] float64
    """The nearest face at every pixel centre, -1 for none, and its corners' shares there."""
    height, width = size
    face_id = np.full((height, width), -1, np.int32)
    share = np.zeros((height, width, 3))
    nearest = np.zeros((height, width))  # one over depth
    for face in range(len(corners)):
        (ax, ay, az), (bx, by, bz), (cx, cy, cz) = corners[face]
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if abs(area) < 1e-12 or min(az, bz, cz) <= 0:
            continue
        top = max(math.ceil(min(ay, by, cy) - 0.5), 0)
        bottom = min(math.floor(max(ay, by, cy) - 0.5), height - 1)
        left = max(math.ceil(min(ax, bx, cx) - 0.5), 0)
        right = min(math.floor(max(ax, bx, cx) - 0.5), width - 1)
        for row in range(top, bottom + 1):
            for column in range(left, right + 1):
                x, y = column + 0.5, row + 0.5
                a = ((bx - x) * (cy - y) - (by - y) * (cx - x)) / area
                b = ((cx - x) * (ay - y) - (cy - y) * (ax - x)) / area
                c = 1 - a - b
                if a < 0 or b < 0 or c < 0:
                    continue
                over_depth = a / az + b / bz + c / cz
                if over_depth > nearest[row, column]:
                    nearest[row, column] = over_depth
                    face_id[row, column] = face
                    share[row, column, 0] = a / az / over_depth
                    share[row, column, 1] = b / bz / over_depth
                    share[row, column, 2] = c / cz / over_depth
    return face_id, share
