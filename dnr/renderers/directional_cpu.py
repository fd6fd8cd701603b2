"""The fused CPU twin of `directional_inputs_reference`, with its gradient written out."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import torch
from torch import Tensor

# Numbers are float32 throughout: for numba an integer times a float32 is a float64.
Y0 = np.float32(0.28209479177387814)
Y1 = np.float32(0.4886025119029199)
Y2 = np.float32(1.0925484305920792)
Y20 = np.float32(0.31539156525252005)
Y22 = np.float32(0.5462742152960396)
Y3 = np.float32(0.5900435899266435)
Y3M2 = np.float32(2.890611442640554)
Y3M1 = np.float32(0.4570457994644658)
Y30 = np.float32(0.3731763325901154)
Y32 = np.float32(1.445305721320277)
NUM_HARMONICS = 16
EPSILON = 1e-4
"""Keeps the half vector finite where the lamp lies straight behind the surface point."""
SOFT = np.float32(EPSILON)
SHORT = np.float32(1e-24)
"""Keeps the bent normal finite where it cancels."""
ONE, TWO, THREE, FIVE, SIX, TEN, FIFTEEN = (np.float32(n) for n in (1, 2, 3, 5, 6, 10, 15))


class FusedDirections(torch.autograd.Function):
    """Gradients for neural channels, axes and sharpness; normals and views are given."""

    @staticmethod
    def forward(
        ctx: Any, neural: Tensor, normal: Tensor, view: Tensor, axes: Tensor, sharpness: Tensor
    ) -> Tensor:
        # Axes go in transposed: only rows with unit stride let the loops over lamps vectorise.
        inputs = [x.contiguous() for x in (neural, normal, view, axes.T, sharpness)]
        ctx.save_for_backward(*inputs)
        width = neural.shape[1] + NUM_HARMONICS + 1 + len(axes)
        out = neural.new_empty(len(neural), width)
        arrays = (x.detach().numpy() for x in (*inputs, out))
        _forward(*arrays)
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        inputs = ctx.saved_tensors
        to_neural, to_axes, to_sharpness = (torch.zeros_like(inputs[i]) for i in (0, 3, 4))
        outputs = (to_neural, to_axes, to_sharpness)
        arrays = (x.detach().numpy() for x in (*inputs, gradients[0].contiguous(), *outputs))
        _backward(*arrays)
        return to_neural, None, None, to_axes.T, to_sharpness


@numba.njit(cache=True, fastmath=True, inline="always")
def _bent(neural, normal, p):
    """The bent unit normal, and one over its length before."""
    x = normal[p, 0] + neural[p, 0]
    y = normal[p, 1] + neural[p, 1]
    z = normal[p, 2] + neural[p, 2]
    over = ONE / np.sqrt(x * x + y * y + z * z + SHORT)
    return x * over, y * over, z * over, over


@numba.njit(cache=True, fastmath=True, inline="always")
def _half(nx, ny, nz, facing, vx, vy, vz, axes, k):
    """Cosine between normal and half vector, and one over the length of view + axis."""
    towards = vx * axes[0, k] + vy * axes[1, k] + vz * axes[2, k]
    over_length = ONE / np.sqrt(TWO + TWO * towards + SOFT)
    along = nx * axes[0, k] + ny * axes[1, k] + nz * axes[2, k]
    return (along + facing) * over_length, over_length


@numba.njit(cache=True, fastmath=True, nogil=True, error_model="numpy")
def _forward(neural, normal, view, axes, sharpness, out):
    channels = neural.shape[1]
    a = channels  # column of the first harmonic
    for p in range(len(neural)):
        for c in range(channels):
            out[p, c] = neural[p, c]
        nx, ny, nz, _ = _bent(neural, normal, p)
        vx, vy, vz = view[p, 0], view[p, 1], view[p, 2]
        facing = nx * vx + ny * vy + nz * vz
        x = TWO * facing * nx - vx
        y = TWO * facing * ny - vy
        z = TWO * facing * nz - vz
        out[p, a] = Y0
        out[p, a + 1] = Y1 * y
        out[p, a + 2] = Y1 * z
        out[p, a + 3] = Y1 * x
        out[p, a + 4] = Y2 * x * y
        out[p, a + 5] = Y2 * y * z
        out[p, a + 6] = Y20 * (THREE * z * z - ONE)
        out[p, a + 7] = Y2 * x * z
        out[p, a + 8] = Y22 * (x * x - y * y)
        out[p, a + 9] = Y3 * y * (THREE * x * x - y * y)
        out[p, a + 10] = Y3M2 * x * y * z
        out[p, a + 11] = Y3M1 * y * (FIVE * z * z - ONE)
        out[p, a + 12] = Y30 * z * (FIVE * z * z - THREE)
        out[p, a + 13] = Y3M1 * x * (FIVE * z * z - ONE)
        out[p, a + 14] = Y32 * z * (x * x - y * y)
        out[p, a + 15] = Y3 * x * (x * x - THREE * y * y)
        out[p, a + NUM_HARMONICS] = facing
        lamps = out[p, a + NUM_HARMONICS + 1 :]
        for k in range(len(sharpness)):
            # 1 / (1 + sharpness * (1 - along / length)) ** 2 with both fractions made one: a root
            # and a division are what this loop's time consists of.
            along = facing + nx * axes[0, k] + ny * axes[1, k] + nz * axes[2, k]
            towards = vx * axes[0, k] + vy * axes[1, k] + vz * axes[2, k]
            square = TWO + TWO * towards + SOFT
            below = (ONE + sharpness[k]) * np.sqrt(square) - sharpness[k] * along
            lamps[k] = square / (below * below)


@numba.njit(cache=True, fastmath=True, error_model="numpy")
def _backward(neural, normal, view, axes, sharpness, g, to_neural, to_axes, to_sharpness):
    channels = neural.shape[1]
    a = channels
    for p in range(len(neural)):
        for c in range(channels):
            to_neural[p, c] = g[p, c]
        nx, ny, nz, over = _bent(neural, normal, p)
        vx, vy, vz = view[p, 0], view[p, 1], view[p, 2]
        facing = nx * vx + ny * vy + nz * vz
        x = TWO * facing * nx - vx
        y = TWO * facing * ny - vy
        z = TWO * facing * nz - vz
        g9, g14, g15 = Y3 * g[p, a + 9], Y32 * g[p, a + 14], Y3 * g[p, a + 15]
        g4, g5, g7, g8 = (
            Y2 * g[p, a + 4],
            Y2 * g[p, a + 5],
            Y2 * g[p, a + 7],
            TWO * Y22 * g[p, a + 8],
        )
        g10, g11, g13 = Y3M2 * g[p, a + 10], Y3M1 * g[p, a + 11], Y3M1 * g[p, a + 13]
        # Gradient to the mirror direction, harmonic by harmonic.
        gx = Y1 * g[p, a + 3] + g4 * y + g7 * z + g8 * x + g9 * SIX * x * y + g10 * y * z
        gx += g13 * (FIVE * z * z - ONE) + g14 * TWO * x * z + g15 * THREE * (x * x - y * y)
        gy = (
            Y1 * g[p, a + 1] + g4 * x + g5 * z - g8 * y + g9 * THREE * (x * x - y * y) + g10 * x * z
        )
        gy += g11 * (FIVE * z * z - ONE) - g14 * TWO * y * z - g15 * SIX * x * y
        gz = Y1 * g[p, a + 2] + g5 * y + SIX * Y20 * g[p, a + 6] * z + g7 * x + g10 * x * y
        gz += g11 * TEN * y * z + Y30 * g[p, a + 12] * (FIFTEEN * z * z - THREE) + g13 * TEN * x * z
        gz += g14 * (x * x - y * y)
        # Through mirror = 2 (normal . view) normal - view to the bent normal.
        g_facing = TWO * (gx * nx + gy * ny + gz * nz) + g[p, a + NUM_HARMONICS]
        hx = TWO * facing * gx
        hy = TWO * facing * gy
        hz = TWO * facing * gz
        # A slice, as an index that is a sum may be negative to the compiler: it would then suspect
        # that the rows below overlap with what lies behind g, and round otherwise where they do.
        to_lamps = g[p, a + NUM_HARMONICS + 1 :]
        for k in range(len(sharpness)):
            middle, over_length = _half(nx, ny, nz, facing, vx, vy, vz, axes, k)
            root = ONE / (ONE + sharpness[k] * (ONE - middle))
            slope = TWO * root * root * root * to_lamps[k]
            to_sharpness[k] -= slope * (ONE - middle)
            slope *= sharpness[k] * over_length
            g_facing += slope
            hx += slope * axes[0, k]
            hy += slope * axes[1, k]
            hz += slope * axes[2, k]
            back = slope * middle * over_length
            to_axes[0, k] += slope * nx - back * vx
            to_axes[1, k] += slope * ny - back * vy
            to_axes[2, k] += slope * nz - back * vz
        hx += g_facing * vx
        hy += g_facing * vy
        hz += g_facing * vz
        along = nx * hx + ny * hy + nz * hz
        to_neural[p, 0] += over * (hx - nx * along)
        to_neural[p, 1] += over * (hy - ny * along)
        to_neural[p, 2] += over * (hz - nz * along)
