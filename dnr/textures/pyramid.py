"""The neural texture: what is stored on the surface, as Laplacian pyramids of features."""

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
    """Texels along each side of the finest level that carries all channels."""
    channels: int = 16
    """Numbers per texel; the first three are red, green and blue."""
    levels: int = 4
    """Levels that carry all channels, each half the size of the one before. A lookup sums them."""
    colour_size: int = 512
    """Texels along each side of the finest level of all. Levels finer than `size` hold colour only:
    print is sharper than gloss, and features at that density would memorise photos."""

    def __post_init__(self) -> None:
        if self.levels < 1:
            raise ValueError(f"levels must be at least 1, got {self.levels}")
        step = 2 ** (self.levels - 1)
        if self.size % step or self.size < 2 * step:  # the coarsest level has two texels a side
            rule = f"a multiple of {step} and at least {2 * step}"
            raise ValueError(f"texture size must be {rule}, got {self.size}")
        if self.channels < COLOURS:
            raise ValueError(f"channels must be at least {COLOURS}, got {self.channels}")
        ratio = self.colour_size / self.size
        if ratio < 1 or ratio != 2 ** round(np.log2(ratio)):
            raise ValueError(
                f"colour_size must be size times a power of two, got {self.colour_size}"
            )

    @property
    def feature_sizes(self) -> tuple[int, ...]:
        """Sides of the levels with all channels, finest first."""
        return tuple(self.size >> level for level in range(self.levels))

    @property
    def colour_sizes(self) -> tuple[int, ...]:
        """Sides of the finer levels with colour only, finest first."""
        sizes, side = [], self.colour_size
        while side > self.size:
            sizes.append(side)
            side //= 2
        return tuple(sizes)


class Pyramid(nn.Module):
    """Levels of square images whose lookups are summed, finest first; gather.py has the layout.

    A level counts fully for pixels whose patch of surface is no larger than its texels, and not at
    all for patches twice as large: far away and at grazing angles fine detail is left out, as a
    camera averages it out. Neither aliasing nor blur then ends up in the texels.
    """

    def __init__(self, sizes: tuple[int, ...], channels: int, always: int) -> None:
        super().__init__()
        self.sizes = sizes
        self.always = always  # levels smaller than this side count for every patch
        self.starts: tuple[int, ...] = (0, *np.cumsum([size * size for size in sizes]).tolist())
        self.texels = nn.Parameter(torch.zeros(self.starts[-1], channels))

    def level(self, index: int) -> Tensor:  # [S, S, C], row 0 on top
        """A view (not a copy) of one level; 0 is the finest."""
        first, last = self.starts[index : index + 2]
        return self.texels[first:last].view(self.sizes[index], self.sizes[index], -1)

    def sample(self, uv: Tensor, footprint: Tensor) -> Tensor:  # [N, 2], [N, 1] -> [N, C]
        """The weighted sum of bilinear lookups, one call a level; differentiable on any device.

        Beyond the outermost texel centres the edge texel repeats.
        """
        grid = torch.stack([2 * uv[:, 0] - 1, 1 - 2 * uv[:, 1]], dim=-1)[None, None]  # v is up
        total = uv.new_zeros(len(uv), self.texels.shape[1])
        for index, size in enumerate(self.sizes):
            image = self.level(index).permute(2, 0, 1)[None]
            values = functional.grid_sample(
                image, grid, padding_mode="border", align_corners=False
            )[0, :, 0].T
            weight = 1.0 if size < self.always else (2 - footprint * size).clamp(0, 1)
            total = total + weight * values
        return total

    @torch.no_grad()
    def look_up(self, uv: Tensor, footprint: Tensor) -> Tensor:  # [N, 2], [N, 1] -> [N, C]
        """The same numbers as `sample`, without gradients and faster on the CPU."""
        features = uv.new_zeros(len(uv), self.texels.shape[1])
        self.add_to(features, uv, footprint)
        return features

    @torch.no_grad()
    def add_to(self, features: Tensor, uv: Tensor, footprint: Tensor) -> None:
        """Add what is looked up to the first channels of features [N, C or more]."""
        if uv.device.type != "cpu" or uv.dtype != torch.float32:
            features[:, : self.texels.shape[1]] += self.sample(uv, footprint)
            return
        gather(
            self.texels.detach().numpy(),
            np.array(self.sizes, np.int64),
            self.always,
            uv.contiguous().numpy(),
            footprint.contiguous().numpy(),
            features.numpy(),
        )


class NeuralTexture(nn.Module):
    """A pyramid of features, and above it, where wanted, one of finer colour."""

    def __init__(self, config: TextureConfig) -> None:
        super().__init__()
        self.config = config
        coarsest = config.feature_sizes[-1]
        self.features = Pyramid(config.feature_sizes, config.channels, always=coarsest + 1)
        self.detail = Pyramid(config.colour_sizes, COLOURS, always=0)

    @property
    def pyramids(self) -> tuple[Pyramid, Pyramid]:
        return self.features, self.detail

    def colour_levels(self) -> list[Tensor]:  # [S, S, 3] each
        """Views of the colour of all levels, finest first: what painting edits."""
        fine = [self.detail.level(index) for index in range(len(self.detail.sizes))]
        coarse = [self.features.level(index) for index in range(len(self.features.sizes))]
        return fine + [level[..., :COLOURS] for level in coarse]

    def sample(self, uv: Tensor, footprint: Tensor) -> Tensor:  # [N, 2], [N, 1] -> [N, C]
        """Features at surface points; differentiable with respect to texels and uv."""
        features = self.features.sample(uv, footprint)
        if not self.detail.sizes:
            return features
        detail = self.detail.sample(uv, footprint)
        return features + functional.pad(detail, (0, features.shape[1] - COLOURS))

    @torch.no_grad()
    def look_up(self, uv: Tensor, footprint: Tensor) -> Tensor:  # [N, 2], [N, 1] -> [N, C]
        """The same numbers as `sample`, without gradients and faster on the CPU."""
        features = self.features.look_up(uv, footprint)
        self.detail.add_to(features, uv, footprint)
        return features
