"""The fused CPU twin of `directional_inputs_reference`, with its gradient written out."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import torch
from torch import Tensor

# Constants of the real spherical harmonics, in float32 so that numba stays in float32.
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
ONE = np.float32(1)
TWO = np.float32(2)


class FusedDirections(torch.autograd.Function):
    """Gradients for neural channels, axes and sharpness; normals and views are given."""

    @staticmethod
    def forward(
        ctx: Any, neural: Tensor, normal: Tensor, view: Tensor, axes: Tensor, sharpness: Tensor
    ) -> Tensor:
        inputs = [x.contiguous() for x in (neural, normal, view, axes, sharpness)]
        ctx.save_for_backward(*inputs)
        width = neural.shape[1] + NUM_HARMONICS + 1 + len(axes)
        out = neural.new_empty(len(neural), width)
        _forward(*(x.detach().numpy() for x in inputs), out.numpy())
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        inputs = ctx.saved_tensors
        to_neural, to_axes, to_sharpness = (torch.zeros_like(inputs[i]) for i in (0, 3, 4))
        outputs = (to_neural, to_axes, to_sharpness)
        arrays = (x.detach().numpy() for x in (*inputs, gradients[0].contiguous(), *outputs))
        _backward(*arrays)
        return to_neural, None, None, to_axes, to_sharpness


@numba.njit(cache=True, fastmath=True, inline="always")
def _bent(neural, normal, p):
    """The bent unit normal, and one over its length before."""
    x = normal[p, 0] + neural[p, 0]
    y = normal[p, 1] + neural[p, 1]
    z = normal[p, 2] + neural[p, 2]
    over = ONE / np.sqrt(x * x + y * y + z * z + np.float32(1e-24))
    return x * over, y * over, z * over, over


@numba.njit(cache=True, fastmath=True, inline="always")
def _half(nx, ny, nz, facing, view, p, axes, k):
    """Cosine between normal and half vector, and one over the length of view + axis."""
    towards = view[p, 0] * axes[k, 0] + view[p, 1] * axes[k, 1] + view[p, 2] * axes[k, 2]
    over_length = ONE / np.sqrt(TWO + TWO * towards + np.float32(EPSILON))
    along = nx * axes[k, 0] + ny * axes[k, 1] + nz * axes[k, 2]
    return (along + facing) * over_length, over_length


@numba.njit(cache=True, fastmath=True)
def _forward(neural, normal, view, axes, sharpness, out):
    channels = neural.shape[1]
    a = channels  # column of the first harmonic
    for p in range(len(neural)):
        for c in range(channels):
            out[p, c] = neural[p, c]
        nx, ny, nz, _ = _bent(neural, normal, p)
        facing = nx * view[p, 0] + ny * view[p, 1] + nz * view[p, 2]
        x = TWO * facing * nx - view[p, 0]
        y = TWO * facing * ny - view[p, 1]
        z = TWO * facing * nz - view[p, 2]
        out[p, a] = Y0
        out[p, a + 1] = Y1 * y
        out[p, a + 2] = Y1 * z
        out[p, a + 3] = Y1 * x
        out[p, a + 4] = Y2 * x * y
        out[p, a + 5] = Y2 * y * z
        out[p, a + 6] = Y20 * (3 * z * z - ONE)
        out[p, a + 7] = Y2 * x * z
        out[p, a + 8] = Y22 * (x * x - y * y)
        out[p, a + 9] = Y3 * y * (3 * x * x - y * y)
        out[p, a + 10] = Y3M2 * x * y * z
        out[p, a + 11] = Y3M1 * y * (5 * z * z - ONE)
        out[p, a + 12] = Y30 * z * (5 * z * z - 3)
        out[p, a + 13] = Y3M1 * x * (5 * z * z - ONE)
        out[p, a + 14] = Y32 * z * (x * x - y * y)
        out[p, a + 15] = Y3 * x * (x * x - 3 * y * y)
        out[p, a + NUM_HARMONICS] = facing
        for k in range(len(axes)):
            middle, _ = _half(nx, ny, nz, facing, view, p, axes, k)
            root = ONE / (ONE + sharpness[k] * (ONE - middle))
            out[p, a + NUM_HARMONICS + 1 + k] = root * root


@numba.njit(cache=True, fastmath=True)
def _backward(neural, normal, view, axes, sharpness, g, to_neural, to_axes, to_sharpness):
    channels = neural.shape[1]
    a = channels
    for p in range(len(neural)):
        for c in range(channels):
            to_neural[p, c] = g[p, c]
        nx, ny, nz, over = _bent(neural, normal, p)
        facing = nx * view[p, 0] + ny * view[p, 1] + nz * view[p, 2]
        x = TWO * facing * nx - view[p, 0]
        y = TWO * facing * ny - view[p, 1]
        z = TWO * facing * nz - view[p, 2]
        g9, g14, g15 = Y3 * g[p, a + 9], Y32 * g[p, a + 14], Y3 * g[p, a + 15]
        g4, g5, g7, g8 = (
            Y2 * g[p, a + 4],
            Y2 * g[p, a + 5],
            Y2 * g[p, a + 7],
            TWO * Y22 * g[p, a + 8],
        )
        g10, g11, g13 = Y3M2 * g[p, a + 10], Y3M1 * g[p, a + 11], Y3M1 * g[p, a + 13]
        # Gradient to the mirror direction, harmonic by harmonic.
        gx = Y1 * g[p, a + 3] + g4 * y + g7 * z + g8 * x + g9 * 6 * x * y + g10 * y * z
        gx += g13 * (5 * z * z - ONE) + g14 * TWO * x * z + g15 * 3 * (x * x - y * y)
        gy = Y1 * g[p, a + 1] + g4 * x + g5 * z - g8 * y + g9 * 3 * (x * x - y * y) + g10 * x * z
        gy += g11 * (5 * z * z - ONE) - g14 * TWO * y * z - g15 * 6 * x * y
        gz = Y1 * g[p, a + 2] + g5 * y + 6 * Y20 * g[p, a + 6] * z + g7 * x + g10 * x * y
        gz += g11 * 10 * y * z + Y30 * g[p, a + 12] * (15 * z * z - 3) + g13 * 10 * x * z
        gz += g14 * (x * x - y * y)
        # Through mirror = 2 (normal . view) normal - view to the bent normal.
        g_facing = TWO * (gx * nx + gy * ny + gz * nz) + g[p, a + NUM_HARMONICS]
        hx = TWO * facing * gx
        hy = TWO * facing * gy
        hz = TWO * facing * gz
        for k in range(len(axes)):
            middle, over_length = _half(nx, ny, nz, facing, view, p, axes, k)
            root = ONE / (ONE + sharpness[k] * (ONE - middle))
            slope = TWO * root * root * root * g[p, a + NUM_HARMONICS + 1 + k]
            to_sharpness[k] -= slope * (ONE - middle)
            slope *= sharpness[k] * over_length
            g_facing += slope
            hx += slope * axes[k, 0]
            hy += slope * axes[k, 1]
            hz += slope * axes[k, 2]
            back = slope * middle * over_length
            to_axes[k, 0] += slope * nx - back * view[p, 0]
            to_axes[k, 1] += slope * ny - back * view[p, 1]
            to_axes[k, 2] += slope * nz - back * view[p, 2]
        hx += g_facing * view[p, 0]
        hy += g_facing * view[p, 1]
        hz += g_facing * view[p, 2]
        along = nx * hx + ny * hy + nz * hz
        to_neural[p, 0] += over * (hx - nx * along)
        to_neural[p, 1] += over * (hy - ny * along)
        to_neural[p, 2] += over * (hz - nz * along)
