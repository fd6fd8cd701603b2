"""What lies behind the mesh: a colour, or a panorama that the photos have seen."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from dnr.geometry.cameras import Camera

PANORAMA = (128, 256)
"""Rows and columns of a captured panorama: 1.4 degrees a texel, finer than a blurred room needs."""


class Backdrop(nn.Module):
    """An image over all directions, longitude across and latitude down; one texel for one colour.

    Things behind the mesh are taken to be infinitely far.
    """

    def __init__(self, image: Tensor) -> None:  # [3, H, W]
        super().__init__()
        self.image = nn.Buffer(image)

    def behind(self, camera: Camera) -> Tensor:  # [B, 3, H, W]
        """What every pixel shows where nothing stands before it."""
        if self.image.shape[1:] == (1, 1):  # spares the directions, a tenth of a frame's time
            return self.image.expand(len(camera), 3, *camera.size)
        return self(camera.rays())

    def forward(self, rays: Tensor) -> Tensor:  # [B, H, W, 3] unit -> [B, 3, H, W]
        """The colour in each direction."""
        if self.image.shape[1:] == (1, 1):
            return self.image.expand(len(rays), 3, *rays.shape[1:3])
        wrapped = functional.pad(self.image[None], (1, 1, 0, 0), mode="circular")
        across, down = places(rays)
        columns = self.image.shape[2]
        across = (across * columns + 1) / (columns + 2)
        grid = torch.stack([2 * across - 1, 2 * down - 1], dim=-1)
        wrapped = wrapped.expand(len(rays), -1, -1, -1)
        return functional.grid_sample(wrapped, grid, padding_mode="border", align_corners=False)


def places(rays: Tensor) -> tuple[Tensor, Tensor]:  # [*, 3] -> [*] each, in [0, 1]
    """Longitude and latitude, the latter from the pole +z."""
    across = torch.atan2(rays[..., 1], rays[..., 0]) / (2 * math.pi) + 0.5
    return across, torch.acos(rays[..., 2].clamp(-1, 1)) / math.pi


def panorama(rays: Tensor, colours: Tensor) -> Tensor:  # [N, 3] each -> [3, H, W]
    """The mean colour in every direction; those without data take the mean of what lies around."""
    rows, columns = PANORAMA
    across, down = places(rays)
    cell = (down * rows).long().clamp(max=rows - 1) * columns
    cell += (across * columns).long().clamp(max=columns - 1)
    sums = colours.new_zeros(rows * columns, 4)
    sums.index_add_(0, cell, functional.pad(colours, (0, 1), value=1.0))
    image = sums.reshape(1, rows, columns, 4).permute(0, 3, 1, 2)
    filled = image
    levels = [image]
    while min(filled.shape[-2:]) > 1:  # pull: ever coarser means ...
        filled = functional.avg_pool2d(filled, 2)
        levels.append(filled)
    colour = levels[-1][:, :3] / levels[-1][:, 3:].clamp(min=1e-12)
    for level in reversed(levels[:-1]):  # ... push: into what finer levels have not seen
        colour = functional.interpolate(colour, level.shape[-2:], mode="bilinear")
        seen = level[:, 3:] > 0
        colour = torch.where(seen, level[:, :3] / level[:, 3:].clamp(min=1e-12), colour)
    return colour[0]
