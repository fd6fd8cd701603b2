"""A texture that changes with the face: wrinkles, lids, lips and what a mouth holds."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from avatars.avatar.code import LENGTH

BASES = 10


class ExpressionTexture(nn.Module):
    """A few textures, mixed by a small network from the code: low rank, so it cannot memorise."""

    def __init__(self, size: int, channels: int) -> None:
        super().__init__()
        self.mix = nn.Sequential(nn.Linear(LENGTH, 32), nn.LeakyReLU(0.1), nn.Linear(32, BASES))
        # Zero where training never looks: there the avatar falls back on its static texture.
        self.bases = nn.Parameter(torch.zeros(BASES, channels, size, size))

    def forward(self, code: Tensor, uv: Tensor) -> Tensor:  # [1, LENGTH], [N, 2] -> [N, C]
        """Features at surface points of one frame."""
        texture = torch.tensordot(self.mix(code)[0], self.bases, dims=1)[None]
        grid = torch.stack([2 * uv[:, 0] - 1, 1 - 2 * uv[:, 1]], dim=-1)  # v points up
        found = functional.grid_sample(
            texture, grid[None, None], padding_mode="border", align_corners=False
        )
        return found[0, :, 0].T
