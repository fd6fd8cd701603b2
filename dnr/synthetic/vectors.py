"""Three numbers as a tuple: what the ray caster's kernels calculate with."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

Vector = tuple[float, float, float]

# Division by zero gives infinity instead of an exception, and sums may be reordered; infinities
# keep their meaning, because rays that miss are at an infinite distance.
kernel = njit(
    cache=True, error_model="numpy", fastmath={"contract", "reassoc", "arcp", "nsz", "afn"}
)


@kernel
def dot(a: Vector, b: Vector) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@kernel
def along(a: Vector, scale: float, b: Vector) -> Vector:
    """`a + scale * b`."""
    return a[0] + scale * b[0], a[1] + scale * b[1], a[2] + scale * b[2]


@kernel
def scaled(a: Vector, scale: float) -> Vector:
    return a[0] * scale, a[1] * scale, a[2] * scale


@kernel
def times(a: Vector, b: Vector) -> Vector:
    """Each component of `a` times that of `b`."""
    return a[0] * b[0], a[1] * b[1], a[2] * b[2]


@kernel
def unit(a: Vector) -> Vector:
    return scaled(a, 1.0 / math.sqrt(dot(a, a)))


@kernel
def turned(m: np.ndarray, p: int, a: Vector) -> Vector:
    """The linear part of the affine map `m[p]` ([P, 3, 4]) applied to a direction."""
    return (
        m[p, 0, 0] * a[0] + m[p, 0, 1] * a[1] + m[p, 0, 2] * a[2],
        m[p, 1, 0] * a[0] + m[p, 1, 1] * a[1] + m[p, 1, 2] * a[2],
        m[p, 2, 0] * a[0] + m[p, 2, 1] * a[1] + m[p, 2, 2] * a[2],
    )


@kernel
def turned_back(m: np.ndarray, p: int, a: Vector) -> Vector:
    """The transposed linear part of `m[p]` applied to `a`: how normals leave unit coordinates."""
    return (
        m[p, 0, 0] * a[0] + m[p, 1, 0] * a[1] + m[p, 2, 0] * a[2],
        m[p, 0, 1] * a[0] + m[p, 1, 1] * a[1] + m[p, 2, 1] * a[2],
        m[p, 0, 2] * a[0] + m[p, 1, 2] * a[1] + m[p, 2, 2] * a[2],
    )


@kernel
def moved(m: np.ndarray, p: int, a: Vector) -> Vector:
    """The affine map `m[p]` applied to a point."""
    return along(turned(m, p, a), 1.0, (m[p, 0, 3], m[p, 1, 3], m[p, 2, 3]))
