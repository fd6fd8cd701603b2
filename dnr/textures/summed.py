"""A pyramid with its levels added up beforehand, exactly: for many frames of what stands still.

A bilinear lookup bends only where texel centres lie, and the centres of all levels of a pyramid lie
on one lattice: the multiples of 1 / (2 * S), where S is the side of the finest level. One lookup
between nodes on that lattice therefore gives the very sum that a lookup in every level gives.
(Adding the levels up on the finest level's own texels does not: that costs 0.5 dB.)

Far away and at grazing angles the fine levels fade. As each level has half the side of the one
before, at most one of them is half faded at any point, so there is a lattice for every level and
what is coarser, and two neighbouring ones are blended.
"""

from __future__ import annotations

import numba
import numpy as np
import torch
from torch import Tensor

from dnr.textures.gather import NONE, ONE, level_share
from dnr.textures.pyramid import NeuralTexture, Pyramid

LARGEST_SIDE = 512
"""Of a finest level to be summed up: the lattices hold five times its texels."""
FULLY = 0.0
"""The footprint of a pixel to which every level counts."""


class SummedTexture:
    """What `texture` held when this was made, with its features in few large steps."""

    def __init__(self, texture: NeuralTexture) -> None:
        texels = texture.features.texels
        fast = texels.device.type == "cpu" and texels.dtype == torch.float32
        small = texture.config.size <= LARGEST_SIDE
        self.features = SummedPyramid(texture.features) if fast and small else texture.features
        self.detail = texture.detail

    def look_up(self, uv: Tensor, footprint: Tensor) -> Tensor:  # [N, 2], [N, 1] -> [N, C]
        """The same numbers as the texture's own look_up."""
        features = self.features.look_up(uv, footprint)
        self.detail.add_to(features, uv, footprint)
        return features


class SummedPyramid:
    """What `pyramid` held when this was made; on the CPU, in float32."""

    def __init__(self, pyramid: Pyramid) -> None:
        sizes = pyramid.sizes
        lattices = []
        for index, size in enumerate(sizes):
            along = torch.arange(2 * size + 1) / (2 * size)
            v, u = torch.meshgrid(1 - along, along, indexing="ij")  # row 0 is on top, where v is 1
            uv = torch.stack([u, v], dim=-1).reshape(-1, 2)
            # To a patch of twice this a finer level's texels no longer count, and these just do.
            patch = FULLY if index == 0 else 1 / size
            lattices.append(pyramid.look_up(uv, torch.full((len(uv), 1), patch)))
        self.sizes = np.array(sizes, np.int64)
        self.always = pyramid.always
        self.nodes = torch.cat(lattices).numpy()  # [R, C], finest lattice first

    def look_up(self, uv: Tensor, footprint: Tensor) -> Tensor:  # [N, 2], [N, 1] -> [N, C]
        """The same numbers as the pyramid's own look_up, several times as fast."""
        features = uv.new_empty(len(uv), self.nodes.shape[1])
        _gather(
            self.nodes,
            self.sizes,
            self.always,
            uv.contiguous().numpy(),
            footprint.contiguous().numpy(),
            features.numpy(),
        )
        return features


@numba.njit(cache=True, fastmath=True, nogil=True, error_model="numpy")
def _gather(nodes, sizes, always, uv, footprint, out):
    """Fill out [N, C] with the lookup in the finest lattice whose own level counts, blended with
    the next by how much it counts."""
    channels = nodes.shape[1]
    last = len(sizes) - 1
    for point in range(len(uv)):
        index, start = 0, 0
        share = level_share(sizes[0], always, footprint[point, 0])
        while share == NONE and index < last:
            side = 2 * sizes[index] + 1
            start += side * side
            index += 1
            share = level_share(sizes[index], always, footprint[point, 0])
        _add_lookup(nodes, start, sizes[index], uv, share, point, channels, out, True)
        if share < ONE and index < last:
            side = 2 * sizes[index] + 1
            start += side * side
            rest = ONE - share
            _add_lookup(nodes, start, sizes[index + 1], uv, rest, point, channels, out, False)


@numba.njit(cache=True, fastmath=True, inline="always", error_model="numpy")
def _add_lookup(nodes, start, size, uv, share, point, channels, out, first):
    """Write, or add, `share` times the values between the four nodes around one point."""
    cells = 2 * size
    side = np.float32(cells)
    x = min(max(uv[point, 0] * side, NONE), side)
    y = min(max((ONE - uv[point, 1]) * side, NONE), side)
    left = min(int(x), cells - 1)
    top = min(int(y), cells - 1)
    x -= np.float32(left)
    y -= np.float32(top)
    # Unsigned: no wrapping around from the end to care for.
    above = np.uintp(start + top * (cells + 1) + left)
    below = above + np.uintp(cells + 1)
    right = np.uintp(1)
    a, b = share * (ONE - x) * (ONE - y), share * x * (ONE - y)
    c, d = share * (ONE - x) * y, share * x * y
    for k in range(channels):
        value = a * nodes[above, k] + b * nodes[above + right, k]
        value += c * nodes[below, k] + d * nodes[below + right, k]
        out[point, k] = value if first else out[point, k] + value
