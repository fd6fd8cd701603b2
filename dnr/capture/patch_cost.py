"""How well a small tilted plane behind a pixel explains the neighbouring photos.

A plane's inverse depth is an affine function of the pixel, w(dx, dy) = w + dx wx + dy wy. With it,
the place of a sample in another photo is linear in (dx, dy) before the division:
A x + dx (A_0 + wx b) + dy (A_1 + wy b) + w b, where A = K' R inv(K) and b = K' t.
"""

from __future__ import annotations

import numpy as np
from numba import njit

Place = tuple[np.floating, np.floating, np.floating]  # homogeneous

SIDE, STEP = 6, 2
RADIUS = (SIDE - 1) * STEP // 2  # samples at -5, -3 ... 5 pixels
SAMPLES = SIDE * SIDE
WORST = np.float32(1.0)  # of 1 - correlation; also where the photo does not show the plane,
# which proves nothing: a background that only two photos see must not lose to chance matches.
_NO_TEXTURE = np.float32(1e-4)  # variance (1 % contrast) that is added: flat patches prove nothing
_COLOUR_SIGMA, _PLACE_SIGMA = 0.1, 5.0  # of the bilateral weights: grey levels, pixels

# No "nnan"/"ninf": planes may pass through a camera. Integer powers of float32 are avoided: with
# fastmath they crash numba 0.68.
kernel = njit(
    cache=True,
    nogil=True,
    error_model="numpy",
    fastmath={"contract", "reassoc", "arcp", "nsz", "afn"},
)


@kernel
def read_window(
    grey: np.ndarray,  # [H, W]
    row: int,
    column: int,
    values: np.ndarray,  # out [SAMPLES], times the weights below
    weights: np.ndarray,  # out [SAMPLES], they sum to one
) -> tuple[np.floating, np.floating]:
    """Weighted mean and variance of the window; samples beyond the border repeat it."""
    height, width = grey.shape
    centre = grey[row, column]
    total = np.float32(0)
    index = 0
    for i in range(SIDE):
        y = min(max(row + i * STEP - RADIUS, 0), height - 1)
        for j in range(SIDE):
            x = min(max(column + j * STEP - RADIUS, 0), width - 1)
            value = grey[y, x]
            away = (value - centre) / np.float32(_COLOUR_SIGMA)
            dx = np.float32(j * STEP - RADIUS) / np.float32(_PLACE_SIGMA)
            dy = np.float32(i * STEP - RADIUS) / np.float32(_PLACE_SIGMA)
            weight = np.exp(-np.float32(0.5) * (away * away + dx * dx + dy * dy))
            values[index] = value
            weights[index] = weight
            total += weight
            index += 1
    mean, square = np.float32(0), np.float32(0)
    for index in range(SAMPLES):
        weights[index] /= total
        weighted = weights[index] * values[index]
        mean += weighted
        square += weighted * values[index]
        values[index] = weighted
    return mean, square - mean * mean


@kernel
def source_cost(
    values: np.ndarray,  # [SAMPLES] as `read_window` leaves them
    weights: np.ndarray,  # [SAMPLES]
    mean: np.floating,
    variance: np.floating,
    source: np.ndarray,  # float32 [H * W] one photo, flattened
    height: int,
    width: int,
    start: Place,  # homogeneous place of the pixel's centre in the source
    across: Place,  # change per column
    down: Place,  # change per row
) -> np.floating:
    """One minus the weighted normalised cross-correlation, in [0, 1]: less than none is none."""
    reach = np.float32(RADIUS)
    half = np.float32(0.5)
    right, bottom = np.float32(width) - np.float32(1.001), np.float32(height) - np.float32(1.001)
    for corner in range(4):  # all samples lie between the corners
        dx = -reach if corner & 1 else reach
        dy = -reach if corner & 2 else reach
        z = start[2] + dx * across[2] + dy * down[2]
        if not z > np.float32(1e-6):
            return WORST
        x = (start[0] + dx * across[0] + dy * down[0]) / z - half
        y = (start[1] + dx * across[1] + dy * down[1]) / z - half
        if not (x >= 0 and y >= 0 and x <= right and y <= bottom):
            return WORST
    there, square, product = np.float32(0), np.float32(0), np.float32(0)
    for index in range(SAMPLES):
        dx = np.float32((index % SIDE) * STEP - RADIUS)
        dy = np.float32((index // SIDE) * STEP - RADIUS)
        over = np.float32(1) / (start[2] + dx * across[2] + dy * down[2])
        x = (start[0] + dx * across[0] + dy * down[0]) * over - half
        y = (start[1] + dx * across[1] + dy * down[1]) * over - half
        column, row = np.int32(x), np.int32(y)
        fx, fy = x - np.float32(column), y - np.float32(row)
        place = np.uint32(row * np.int32(width) + column)
        top = source[place] + fx * (source[place + np.uint32(1)] - source[place])
        under = place + np.uint32(width)
        low = source[under] + fx * (source[under + np.uint32(1)] - source[under])
        value = top + fy * (low - top)
        weighted = weights[index] * value
        there += weighted
        square += weighted * value
        product += values[index] * value
    spread = (variance + _NO_TEXTURE) * (max(square - there * there, np.float32(0)) + _NO_TEXTURE)
    return min(WORST - (product - mean * there) / np.sqrt(spread), WORST)
