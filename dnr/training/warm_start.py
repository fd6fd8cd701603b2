"""The asset before the first gradient step: an ordinary, well-made textured mesh."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from scipy.ndimage import binary_erosion
from torch import Tensor

from dnr.asset import Asset
from dnr.textures.backdrop import panorama
from dnr.textures.projection import SeenPixels, diffuse_colours, mean_colours, paint_pyramid
from dnr.textures.pyramid import COLOURS, TextureConfig
from dnr.training.crops import read_crop
from dnr.training.exposure import seen_pixels
from dnr.training.views import CLEAN, DENSITY_STEPS, SEEN, VALID, Views

PLAIN = 3 / 255
"""A background whose colours differ by no more than this (10 % to 90 %) is one solid colour."""
LARGEST_COLOUR = 2048
RIM_PX = 2
MOST_RAYS = 20_000
MOST_COLOURS = 200_000
NOISE = 0.01


def fitting_texture(texture: TextureConfig, views: Views) -> TextureConfig:
    """`texture` with colour as fine as the closest photos, within LARGEST_COLOUR."""
    density = views.geometry[:: len(views.geometry) // MOST_COLOURS + 1, 4]
    seen = views.colours[:: len(views.colours) // MOST_COLOURS + 1, 3] & CLEAN != 0
    if not seen.any():  # so little is to be seen that the sample has missed it
        return texture
    wanted = np.quantile(density[seen], 0.75) / DENSITY_STEPS
    size = texture.size
    while size < LARGEST_COLOUR and size * 2**0.5 < wanted:
        size *= 2
    return replace(texture, colour_size=size)


def with_fine_features(texture: TextureConfig) -> TextureConfig:
    """`texture` with features half as fine as its colour, over levels down to the same coarsest."""
    finer = max((texture.colour_size // 2 // texture.size).bit_length() - 1, 0)
    return replace(texture, size=texture.size << finer, levels=texture.levels + finer)


def has_masks(views: Views) -> bool:
    """Whether any photo says that a part of it does not count."""
    return bool((views.colours[:, 4] < 255).any())


def find_backdrop(
    views: Views,
    background: Literal["auto", "solid", "captured"] = "auto",
    gains: Tensor | None = None,  # [V, 3] of the photos
) -> Tensor:  # [3, 1, 1] or [3, H, W]
    """What the photos show beside the mesh: one colour (their median), or a panorama.

    "auto" takes one colour if that is all there is, and for photos with masks: masks say that
    what lies behind them is not wanted.
    """
    rays, colours = [], []
    for view in range(len(views)):
        _, _, _, state, alpha = views.colours[views.starts[view] : views.starts[view + 1]].T
        away = (state & (SEEN | VALID)) == VALID
        # Of a masked photo, what sticks out of the mesh is still the object.
        away &= alpha == 0 if (alpha < 255).any() else True
        # Rims are mixed with what stands before: they would leave specks in the sky.
        away = binary_erosion(away.reshape(views.size(view)), iterations=RIM_PX, border_value=1)
        beside = np.flatnonzero(away)
        if len(beside) == 0:
            continue
        crop = read_crop(views, view, (0, 0), views.size(view))
        beside = torch.from_numpy(beside[:: max(len(beside) // MOST_RAYS, 1)])
        rays.append(crop.rays.reshape(-1, 3)[beside])
        colour = crop.colour[0].permute(1, 2, 0).reshape(-1, 3)[beside]
        colours.append(colour if gains is None else (colour / gains[view]).clamp(max=1))
    if not rays:
        return torch.zeros(3, 1, 1)
    seen = torch.cat(colours)
    some = seen[:: len(seen) // MOST_COLOURS + 1]  # torch sorts at most 2 ** 24 at once
    low, middle, high = some.quantile(seen.new_tensor([0.1, 0.5, 0.9]), dim=0)
    plain = float((high - low).max()) <= PLAIN or has_masks(views)
    if background == "solid" or (background == "auto" and plain):
        return middle[:, None, None]
    return panorama(torch.cat(rays), seen)


def project_photos(asset: Asset, views: Views, gains: Tensor | None = None) -> None:  # [V, 3]
    """Set the texture's colours to the photos' mean, and `asset.diffuse` to it without highlights.

    Neural channels start as small noise; a renderer whose last layer is zero shows the colours.
    """
    size = asset.config.texture.colour_size
    means = mean_colours(_seen(views, gains), size)
    paint_pyramid(asset.texture.colour_levels(), means)
    diffuse = diffuse_colours(_seen(views, gains), size, means)[..., :COLOURS]
    asset.diffuse.copy_((diffuse.clamp(0, 1) * 255).round().to(torch.uint8))


def start_from_noise(asset: Asset, scale: float, generator: torch.Generator) -> None:
    """Fill all channels with noise, as the published method does (with a scale of one)."""
    texels = asset.texture.features.texels
    texels.data.copy_(torch.randn(texels.shape, generator=generator) * scale)


def start_neural_channels(asset: Asset, generator: torch.Generator) -> None:
    """Small noise in everything but colour, so that channels differ from the first step on."""
    texels = asset.texture.features.texels
    noise = torch.randn(len(texels), texels.shape[1] - COLOURS, generator=generator) * NOISE
    texels.data[:, COLOURS:] = noise.to(texels)


def coverage(views: Views, size: int) -> np.ndarray:  # uint8 [S, S]
    """How often each texel is seen, for the report: white is where most photos look."""
    weight = mean_colours(_seen(views), size)[..., COLOURS].sqrt()
    scale = weight.reshape(-1)[:: size * size // MOST_COLOURS + 1].quantile(0.98).clamp(min=1e-6)
    return (weight / scale * 255).clamp(0, 255).to(torch.uint8).numpy()


def _seen(views: Views, gains: Tensor | None = None) -> Iterator[SeenPixels]:  # [V, 3]
    gains = torch.ones(len(views), 3) if gains is None else gains
    return (seen_pixels(views, view, gains[view]) for view in range(len(views)))
