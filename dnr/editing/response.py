"""What the renderer makes of the texture's colour, away from highlights: scale and offset of paint.

Training settles on any product of colour and gain, and on any sum of it and the rest, so the
texture's colour is not what is displayed. Asking the renderer itself, at the places from which
photos were taken, says what to write for a colour to show.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch.nn import functional

from dnr.asset import Asset
from dnr.editing.atlas import Atlas, build_atlas
from dnr.editing.coarse import brought_to
from dnr.editing.projection import project
from dnr.editing.texels import finest_colours
from dnr.geometry.cameras import Camera
from dnr.raster.surface import Surface
from dnr.renderers.pixel import PixelRenderer
from dnr.textures.pyramid import COLOURS

MOST_VIEWS = 24
DEPTH_HEIGHT = 192
"""Pixels of the images that say which view sees what."""
FINEST = 512
"""The network's inputs are no finer than the texture's features; nor need this be."""
LEAST_SCALE = 0.25
"""Where the renderer hardly shows the texture's colour, paint may not have to be arbitrarily
bright."""

RATIO_BLUR = 2.0
"""Texels over which the ratio of trained to photographed colour is averaged: paint must not take
over the print that lies under it."""
SCALE_BLUR = 12.0
"""Texels over which the views' share in the scale is averaged: it depends on the normal only."""
RATIO_RANGE = (0.5, 2.0)
LEAST_COLOUR = 4 / 255
"""Darker photographed colour says nothing about that ratio."""


class Response(NamedTuple):
    """Displayed colour = scale * texture's colour + offset."""

    scale: np.ndarray  # float32 [N]
    offset: np.ndarray  # float32 [N, 3]


@torch.no_grad()
def response(asset: Asset, atlas: Atlas, cameras: list[Camera]) -> Response:
    """How the texels of `atlas` answer to paint, averaged over the darker half of the views."""
    renderer = asset.renderer
    assert isinstance(renderer, PixelRenderer)
    coarse = build_atlas(asset.mesh, min(asset.config.texture.size, FINEST))
    count = len(coarse.index)
    uv = torch.from_numpy(coarse.uv).to(asset.device)
    footprint = uv.new_full((count, 1), 1 / coarse.size)
    features = asset.texture.look_up(uv, footprint)
    normal, position = (torch.from_numpy(x).to(uv) for x in (coarse.normal, coarse.position))
    # A regular choice of views along a path may all look from one side.
    order = np.random.default_rng(0).permutation(len(cameras))[:MOST_VIEWS]
    rows, weights = uv.new_zeros(0, count, 1 + COLOURS), uv.new_zeros(0, count)
    for camera in (cameras[number] for number in np.sort(order)):
        height, width = camera.size
        small = camera.resized((DEPTH_HEIGHT, max(1, round(width * DEPTH_HEIGHT / height))))
        seen = torch.from_numpy(project(coarse, asset.mesh, small).seen > 0.5).to(uv.device)
        values, weight = uv.new_zeros(count, 1 + COLOURS), uv.new_zeros(count)
        if seen.any():
            way = functional.normalize(camera.to(uv).position - position[seen], dim=1)
            surface = Surface(uv[seen], position[seen], normal[seen], way, footprint[seen])
            values[seen] = _answer(renderer, features[seen], surface)
            # As photos count for the photographed colour: by their pixels, and by facing once more.
            weight[seen] = (way * normal[seen]).sum(dim=1).abs().square()
        rows, weights = torch.cat([rows, values[None]]), torch.cat([weights, weight[None]])
    values = _darker_half(rows, weights, features[:, :COLOURS])
    neutral = np.array([1.0, 0, 0, 0])
    found = brought_to(atlas, coarse, values.cpu().numpy(), neutral)
    scale = np.maximum(found[:, 0], LEAST_SCALE)
    return _as_photographed(asset, atlas, Response(scale, found[:, 1:]))


def _as_photographed(asset: Asset, atlas: Atlas, found: Response) -> Response:
    """The same, its scale corrected smoothly so that what shows is what was photographed.

    Under a light that moves with the camera brightness depends on the views, and the photographed
    colour stems from all photos, not from some.
    """
    trained = finest_colours(asset.texture).reshape(-1, COLOURS)[atlas.index]
    photo = asset.diffuse.cpu().numpy().reshape(-1, COLOURS)[atlas.index].astype(np.float32) / 255
    wanted = (photo - found.offset).mean(axis=1)
    ratio = smooth_ratio(atlas, wanted, found.scale * trained.mean(axis=1), photo, SCALE_BLUR)
    return found._replace(scale=np.maximum(found.scale * ratio, LEAST_SCALE))


def _answer(renderer: PixelRenderer, features: torch.Tensor, surface: Surface) -> torch.Tensor:
    """Scale and offset [M, 4] of the colour of some points seen from one place."""
    black = torch.cat([torch.zeros_like(features[:, :COLOURS]), features[:, COLOURS:]], dim=1)
    grey = torch.cat([torch.ones_like(features[:, :COLOURS]), features[:, COLOURS:]], dim=1)
    offset = renderer(black, surface).colour
    scale = (renderer(grey, surface).colour - offset)[:, :1]
    return torch.cat([scale, offset], dim=1)


def _darker_half(
    rows: torch.Tensor,  # [V, M, 4]
    weights: torch.Tensor,  # [V, M], 0 where a view does not see a texel
    colour: torch.Tensor,  # [M, 3]
) -> torch.Tensor:  # [M, 4]
    """The mean over the views in which a texel is no brighter than on average: no highlights."""
    shown = (rows[..., :1] * colour + rows[..., 1:]).mean(dim=-1)
    mean = (weights * shown).sum(dim=0) / weights.sum(dim=0).clamp(min=1e-12)
    used = weights * (shown <= mean + 1e-5)
    values = (used[..., None] * rows).sum(dim=0) / used.sum(dim=0).clamp(min=1e-12)[:, None]
    neutral = values.new_tensor([1.0, 0, 0, 0])
    return torch.where((used.sum(dim=0) > 0)[:, None], values, neutral)  # never seen: as it stands


def trained_over_photographed(
    trained: np.ndarray,  # float32 [N, 3]
    photo: np.ndarray,  # float32 [N, 3], photographed, without highlights
    atlas: Atlas,
) -> np.ndarray:  # float32 [N]
    """Smooth ratio of their brightness, for renderers that cannot be asked; 1 where unknown."""
    return smooth_ratio(atlas, trained.mean(axis=1), photo.mean(axis=1), photo, RATIO_BLUR)


def smooth_ratio(
    atlas: Atlas,
    above: np.ndarray,  # float32 [N]
    below: np.ndarray,  # float32 [N]
    photo: np.ndarray,  # float32 [N, 3]: tells where something is known
    blur: float,  # texels
) -> np.ndarray:  # float32 [N]
    """Quotient of two blurred images of the texture; 1 where nothing is known around."""
    known = photo.mean(axis=1) > LEAST_COLOUR
    images = (above * known, below * known, known.astype(np.float32))
    blurred = [cv2.GaussianBlur(atlas.image(image), (0, 0), blur) for image in images]
    top, bottom, weight = (image.reshape(-1)[atlas.index] for image in blurred)
    ratio = np.clip(top / np.maximum(bottom, 1e-6), *RATIO_RANGE)
    return np.where(weight > 0.05, ratio, 1).astype(np.float32)
