"""Distances for the voxels that no photo saw: as smooth as possible, which closes every hole."""

from __future__ import annotations

import numpy as np

from dnr.capture.volume import Distances, kernel

COARSEST = 6  # voxels along the shortest side
SWEEPS = 6  # per level; long waves are settled on coarse levels


def filled(distances: Distances) -> np.ndarray:  # float32 [X, Y, Z]
    """The known distances, and between them the solution of Laplace's equation.

    Beyond the outermost voxels the solution continues level. Without any known voxel: zeros.
    """
    values, known = distances.values, distances.weights > 0
    if min(values.shape) < 2 * COARSEST:
        guess = np.full_like(values, values[known].mean() if known.any() else 0)
        sweeps = 10 * SWEEPS
    else:
        half = _halved(values, distances.weights)
        guess = _doubled(filled(half), values.shape)
        sweeps = SWEEPS
    result = np.where(known, values, guess)
    for sweep in range(sweeps):
        _relax(result, known, sweep % 2)
    return result


def _halved(values: np.ndarray, weights: np.ndarray) -> Distances:
    """Means over blocks of 2 x 2 x 2 known voxels."""
    shape = tuple((side + 1) // 2 for side in values.shape)
    sums, total = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    _add_blocks(values, weights, sums, total)
    np.divide(sums, total, out=sums, where=total > 0)
    return Distances(sums, total)


@kernel
def _add_blocks(values, weights, sums, total):
    for i in range(values.shape[0]):
        for j in range(values.shape[1]):
            for k in range(values.shape[2]):
                weight = weights[i, j, k]
                if weight > 0:
                    sums[i // 2, j // 2, k // 2] += weight * values[i, j, k]
                    total[i // 2, j // 2, k // 2] += weight


def _doubled(coarse: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:  # [X, Y, Z]
    """Linear interpolation along one axis after another; blocks' centres lie between voxels."""
    for axis, side in enumerate(shape):
        place = (np.arange(side) - 0.5) / 2
        low = np.clip(np.floor(place).astype(int), 0, coarse.shape[axis] - 1)
        high = np.clip(low + 1, 0, coarse.shape[axis] - 1)
        share = np.clip(place - low, 0, 1).astype(np.float32)
        share = share.reshape([-1 if a == axis else 1 for a in range(3)])
        first = coarse.take(low, axis)
        coarse = first + share * (coarse.take(high, axis) - first)
    return coarse


@kernel
def _relax(values, known, backwards):
    """One Gauss-Seidel sweep, over-relaxed; borders mirror their neighbours."""
    nx, ny, nz = values.shape
    for a in range(nx):
        i = nx - 1 - a if backwards else a
        for b in range(ny):
            j = ny - 1 - b if backwards else b
            for c in range(nz):
                k = nz - 1 - c if backwards else c
                if known[i, j, k]:
                    continue
                own = values[i, j, k]
                total = values[i - 1, j, k] if i > 0 else own
                total += values[i + 1, j, k] if i < nx - 1 else own
                total += values[i, j - 1, k] if j > 0 else own
                total += values[i, j + 1, k] if j < ny - 1 else own
                total += values[i, j, k - 1] if k > 0 else own
                total += values[i, j, k + 1] if k < nz - 1 else own
                values[i, j, k] = own + np.float32(1.5) * (total / np.float32(6) - own)
