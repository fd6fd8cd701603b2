"""The neural texture: what is stored on the surface, as a Laplacian pyramid of features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from dnr.textures.gather import gather

COLOURS = 3
"""The first channels of a texture are colour; the rest are features that only a renderer reads."""


@dataclass(frozen=True)
class TextureConfig:
    size: int = 512
    """Texels along each side of the finest level."""
    channels: int = 16
    """Numbers per texel; the first three are red, green and blue."""
    levels: int = 4
    """Pyramid levels, each half the size of the one before. A lookup sums them."""

    def __post_init__(self) -> None:
        step = 2 ** (self.levels - 1)
        if self.size % step or self.size < 2 * step:
            raise ValueError(f"texture size must be a multiple of {step}, got {self.size}")
        if self.channels < COLOURS:
            raise ValueError(f"channels must be at least {COLOURS}, got {self.channels}")

    @property
    def sizes(self) -> tuple[int, ...]:
        """Sides of all levels, finest first."""
        return tuple(self.size >> level for level in range(self.levels))

    @property
    def starts(self) -> tuple[int, ...]:
        """Row of the texel array where each level begins, and the number of rows last."""
        return (0, *np.cumsum([size * size for size in self.sizes]).tolist())


class NeuralTexture(nn.Module):
    """One array of texels [R, C]; see gather.py for its layout."""

    def __init__(self, config: TextureConfig) -> None:
        super().__init__()
        self.config = config
        self.texels = nn.Parameter(torch.zeros(config.starts[-1], config.channels))

    def level(self, index: int) -> Tensor:  # [S, S, C], row 0 on top
        """A view (not a copy) of one level; 0 is the finest."""
        first, last = self.config.starts[index : index + 2]
        size = self.config.sizes[index]
        return self.texels[first:last].view(size, size, -1)

    def sample(self, uv: Tensor) -> Tensor:  # [*, 2] -> [*, C]
        """The sum over levels of bilinear lookups, one call each; differentiable on any device.

        Beyond the outermost texel centres the edge texel repeats.
        """
        points = uv.reshape(1, 1, -1, 2)
        grid = torch.stack([2 * points[..., 0] - 1, 1 - 2 * points[..., 1]], dim=-1)  # v is up
        total = uv.new_zeros(())
        for index in range(self.config.levels):
            image = self.level(index).permute(2, 0, 1)[None]
            total = total + functional.grid_sample(
                image, grid, padding_mode="border", align_corners=False
            )
        return total[0, :, 0].T.reshape(*uv.shape[:-1], -1)

    @torch.no_grad()
    def look_up(self, uv: Tensor) -> Tensor:  # [*, 2] -> [*, C]
        """The same numbers as `sample`, without gradients and faster on the CPU."""
        if uv.device.type != "cpu" or uv.dtype != torch.float32:
            return self.sample(uv)
        points = uv.reshape(-1, 2)
        features = points.new_empty(len(points), self.config.channels)
        sizes = np.array(self.config.sizes)
        gather(self.texels.detach().numpy(), sizes, points.numpy(), features.numpy())
        return features.reshape(*uv.shape[:-1], -1)
