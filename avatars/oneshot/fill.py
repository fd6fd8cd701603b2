"""Values known here and there, continued smoothly over a picture: Laplace's equation, fast."""

from __future__ import annotations

import numpy as np
from numba import njit

COARSEST, SWEEPS, FIRST_SWEEPS = 8, 6, 40
OVERSHOOT = 1.5  # successive over-relaxation


def continued(values: np.ndarray, known: np.ndarray) -> np.ndarray:  # float32 [H, W, C], bool
    """`values` where `known` [H, W], and elsewhere as smooth as can be; borders are free.

    Approximately harmonic: solved from coarse to fine with a few sweeps a level. Zero if nothing
    is known.
    """
    filled = np.where(known[..., None], values, np.float32(0)).astype(np.float32)
    _solve(filled, np.ascontiguousarray(known))
    return filled


def _solve(values: np.ndarray, known: np.ndarray) -> None:
    height, width = known.shape
    if max(height, width) <= COARSEST:
        _start(values, known)
        _relax(values, known, FIRST_SWEEPS, OVERSHOOT)
        return
    half = ((height + 1) // 2, (width + 1) // 2)
    coarse, coarse_known = np.empty((*half, values.shape[2]), np.float32), np.empty(half, np.bool_)
    _restrict(values, known, coarse, coarse_known)
    _solve(coarse, coarse_known)
    _prolong(coarse, values, known)
    _relax(values, known, SWEEPS, OVERSHOOT)


@njit(cache=True, nogil=True)
def _start(values: np.ndarray, known: np.ndarray) -> None:  # pragma: no cover
    """Unknown values begin at the mean of the known ones."""
    height, width, channels = values.shape
    for c in range(channels):
        total, count = 0.0, 0
        for y in range(height):
            for x in range(width):
                if known[y, x]:
                    total += values[y, x, c]
                    count += 1
        mean = total / max(count, 1)
        for y in range(height):
            for x in range(width):
                if not known[y, x]:
                    values[y, x, c] = mean


@njit(cache=True, nogil=True)
def _restrict(
    values: np.ndarray, known: np.ndarray, coarse: np.ndarray, coarse_known: np.ndarray
) -> None:  # pragma: no cover
    """Means of the known values in blocks of two by two."""
    height, width, channels = values.shape
    for y in range(coarse.shape[0]):
        for x in range(coarse.shape[1]):
            count = 0
            coarse[y, x] = 0.0
            for yy in range(2 * y, min(2 * y + 2, height)):
                for xx in range(2 * x, min(2 * x + 2, width)):
                    if known[yy, xx]:
                        count += 1
                        for c in range(channels):
                            coarse[y, x, c] += values[yy, xx, c]
            coarse_known[y, x] = count > 0
            for c in range(channels):
                coarse[y, x, c] /= max(count, 1)


@njit(cache=True, nogil=True)
def _prolong(coarse: np.ndarray, values: np.ndarray, known: np.ndarray) -> None:  # pragma: no cover
    """Bilinear, to where nothing is known."""
    rows, columns, channels = coarse.shape
    for y in range(values.shape[0]):
        upper = max(min((y - 1) // 2, rows - 2), 0)
        down = np.float32(min(max(0.5 * y - 0.25 - upper, 0.0), 1.0))
        lower = min(upper + 1, rows - 1)
        for x in range(values.shape[1]):
            if not known[y, x]:
                left = max(min((x - 1) // 2, columns - 2), 0)
                across = np.float32(min(max(0.5 * x - 0.25 - left, 0.0), 1.0))
                right = min(left + 1, columns - 1)
                for c in range(channels):
                    a = coarse[upper, left, c]
                    b = coarse[lower, left, c]
                    a += across * (coarse[upper, right, c] - a)
                    b += across * (coarse[lower, right, c] - b)
                    values[y, x, c] = a + down * (b - a)


@njit(cache=True, nogil=True, fastmath=True)
def _relax(
    values: np.ndarray, known: np.ndarray, sweeps: int, overshoot: float
) -> None:  # pragma: no cover
    """Every unknown value towards the mean of its neighbours, in turns as on a chess board."""
    height, width, channels = values.shape
    step = np.float32(overshoot * 0.25)
    for sweep in range(2 * sweeps):
        for y in range(height):
            above, below = max(y - 1, 0), min(y + 1, height - 1)
            for x in range((y + sweep) % 2, width, 2):
                if not known[y, x]:
                    left, right = max(x - 1, 0), min(x + 1, width - 1)
                    for c in range(channels):
                        old = values[y, x, c]
                        around = values[above, x, c] + values[below, x, c]
                        around += values[y, left, c] + values[y, right, c]
                        values[y, x, c] = old + step * (around - 4 * old)
