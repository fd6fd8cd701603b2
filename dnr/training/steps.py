"""One gradient step, for renderers that shade pixels and for those that look at images.

Sampled features are the leaves of the graph: autograd stops there, and the texture is stepped from
the gradient that arrived (row_adam.py). No step touches more texels than its batch has seen.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from dnr.raster.surface import Surface
from dnr.renderers.image import ImageRenderer
from dnr.renderers.pixel import PixelRenderer
from dnr.textures.pyramid import COLOURS
from dnr.training.crops import draw_crop
from dnr.training.pixels import draw_pixels
from dnr.training.state import TrainingState
from dnr.training.views import Views

LEAK = 0.05
"""Slope of the loss beyond black and white: photos clip there, so renders may go beyond for almost
nothing, yet not be lost."""


def step(state: TrainingState, views: Views, seed: int) -> float:
    """Draw a batch, move all weights once, and return the loss.

    The batch depends on seed and step only, so a resumed run sees what an uninterrupted one sees.
    """
    rng = np.random.default_rng([seed, state.step])
    is_image = isinstance(state.asset.renderer, ImageRenderer)
    loss, features, surface = (_image_loss if is_image else _pixel_loss)(state, views, rng)
    factor = state.rate_factor()
    for group in state.network_adam.param_groups:
        group["lr"] = group["rate"] * factor
    loss.backward()
    state.network_adam.step()
    state.network_adam.zero_grad()  # here, so that no gradients lie beside the next activations
    assert features.grad is not None
    for adam in state.texture_adams:
        adam.step(surface.uv, surface.footprint, features.grad, factor)
    state.step += 1
    return loss.item()


def _pixel_loss(
    state: TrainingState, views: Views, rng: np.random.Generator
) -> tuple[Tensor, Tensor, Surface]:  # loss, features [N, C], where they lie [N]
    asset, renderer = state.asset, state.asset.renderer
    assert isinstance(renderer, PixelRenderer)
    batch = draw_pixels(views, state.recipe.batch, rng)
    surface = Surface(*(field.to(asset.device) for field in batch.surface))
    features = asset.texture.look_up(surface.uv, surface.footprint).requires_grad_()
    shading = renderer(features, surface)
    colour = shading.colour
    if state.exposure is not None:
        colour = state.exposure(colour, batch.view.to(asset.device))
    error = leaky(colour) - batch.colour.to(asset.device)
    loss = error.abs().mean() + state.recipe.square_weight * error.square().mean()
    loss = loss + state.recipe.residual_weight * shading.residual.square().mean()
    return loss, features, surface


def _image_loss(
    state: TrainingState, views: Views, rng: np.random.Generator
) -> tuple[Tensor, Tensor, Surface]:
    asset, renderer = state.asset, state.asset.renderer
    assert isinstance(renderer, ImageRenderer)
    crop = draw_crop(views, state.recipe.crop, rng)
    surface = Surface(*(field.to(asset.device) for field in crop.surface))
    seen, valid = crop.seen.to(asset.device), crop.valid.to(asset.device)
    points = Surface(*(field[seen] for field in surface))
    features = asset.texture.look_up(points.uv, points.footprint).requires_grad_()
    image = features.new_zeros(*seen.shape, features.shape[1])
    image = image.masked_scatter(seen[..., None], features)
    alpha, background = crop.alpha.to(asset.device), asset.backdrop(crop.rays.to(asset.device))
    if state.recipe.random_background:
        colour = torch.from_numpy(rng.random(3, np.float32)).to(background)
        background = colour[:, None, None].expand_as(background)
    render = renderer(image, surface, seen, background)
    gain = render.new_ones(1, 3)
    if state.exposure is not None:
        gain = state.exposure(gain, torch.tensor([crop.view], device=asset.device))
    gain = gain[..., None, None]
    # Behind its mask the photo shows the renderer's own background, exposed like the rest of it.
    behind = (background * gain.detach()).clamp(0, 1)
    photo = crop.colour.to(asset.device) * alpha + behind * (1 - alpha)
    loss = _mean((leaky(render * gain) - photo).abs(), valid)
    if state.extra_losses is not None:
        shown = valid[:, None]  # where the photo has no data both are black
        loss = loss + state.extra_losses(leaky(render * gain) * shown, photo * shown)
    if state.recipe.colour_weight:
        colour = image[..., :COLOURS].permute(0, 3, 1, 2)
        on_object = seen & valid & (alpha[:, 0] == 1)
        loss = loss + state.recipe.colour_weight * _mean((colour - photo).abs(), on_object)
    return loss, features, points


def leaky(colour: Tensor) -> Tensor:
    """The colour as a photo clips it, with a small slope left beyond 0 and 1."""
    return colour.clamp(0, 1) * (1 - LEAK) + LEAK * colour


def _mean(error: Tensor, where: Tensor) -> Tensor:  # [B, C, H, W], [B, H, W] bool
    return (error * where[:, None]).sum() / (where.sum() * error.shape[1]).clamp(min=1)
