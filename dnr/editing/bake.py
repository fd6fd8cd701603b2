"""Baking: what paint cannot say to a renderer that looks at images is learned, in a few steps.

Such a renderer sees the texture's colours and has learned what photos make of them, so new colours
do not simply show. The frozen renderer's texels under the paint are moved until views show what
photos would: paint under the photo's light, and the photo's highlight on top.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from dnr.asset import Asset
from dnr.capture.folder import load_capture
from dnr.capture.photos import Photos, prepare_photos
from dnr.editing.canvas import Canvas
from dnr.errors import InputError
from dnr.geometry.cameras import Camera
from dnr.raster.rasterize import rasterize
from dnr.raster.surface import Surface, interpolate
from dnr.renderers.image import ImageRenderer
from dnr.textures.pyramid import Pyramid
from dnr.textures.row_adam import RowAdam

STEPS = 40
VIEWS = 6
"""Photos that see most of the edit."""
SIDE = 128
"""Pixels of a crop; the networks want multiples of 32."""
LEVELS = 2
"""Finest levels that are moved: coarser texels would show beyond the edit."""
RATE = 0.01
KEEP = 1.0
"""Weight of everything around the paint, which is to stay as it was."""
LEAST_PIXELS = 20
RATIO_WINDOW = 9
"""Pixels over which the photo's light is taken to be even."""
DARK = 0.05
"""A ratio to darker colour says nothing."""


class Scene(NamedTuple):
    """One crop of one photo: what is rendered, and what it should look like."""

    surface: Surface  # leading [1, H, W]
    seen: Tensor  # bool [1, H, W]
    painted: Tensor  # bool [1, H, W]
    background: Tensor  # [1, 3, H, W]
    target: Tensor  # [1, 3, H, W]


def bake(
    canvas: Canvas,
    source: Path,  # the capture
    height: int | None,  # of the photos in training
    steps: int = STEPS,
    shown: Callable[[int], object] = int,
) -> Asset:
    """The canvas's asset with its painted texels moved; itself if nothing is painted.

    Only for renderers that look at images. Needs the photos in `source`.
    """
    asset = canvas.asset
    assert isinstance(asset.renderer, ImageRenderer)
    changed = canvas.atlas.image((canvas.shown != canvas.first_shown).any(axis=1))
    if not changed.any():
        return asset
    scenes = _scenes(canvas, changed, source, height)
    if not scenes:
        raise InputError(
            f"no photo in {source} shows what was painted, so it cannot be baked; paint where a "
            "photo looks, or give --bake 0"
        )
    adams = [
        RowAdam(pyramid, _rates(pyramid.sizes, pyramid.texels.shape[1]), _zeros(pyramid))
        for pyramid in asset.texture.pyramids
        if pyramid.sizes
    ]
    asset.renderer.requires_grad_(False)
    for number in range(steps):
        _step(asset, scenes[number % len(scenes)], adams, 1 - 0.9 * number / steps)
        shown(number + 1)
    return asset


def highlight_and_ratio(photo: np.ndarray, diffuse: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What a photo [H, W, 3] adds to the colour without highlights, and what it multiplies it by.

    A highlight brightens all channels alike, so the channel that it brightens least tells the
    ratio; it is smoothed, because light changes slowly. Returns [H, W, 1] each.
    """
    ratio = np.where(diffuse > DARK, photo / np.maximum(diffuse, DARK), np.inf).min(axis=-1)
    known = np.isfinite(ratio)
    smooth = cv2.medianBlur(np.where(known, ratio, 1).clip(0, 4).astype(np.float32), 5)
    smooth = cv2.erode(smooth, np.ones((RATIO_WINDOW, RATIO_WINDOW)))  # across highlights
    smooth = cv2.blur(smooth, (RATIO_WINDOW, RATIO_WINDOW))[..., None]
    highlight = (photo - diffuse * smooth).mean(axis=-1, keepdims=True).clip(min=0)
    return highlight, smooth


def _scenes(canvas: Canvas, changed: np.ndarray, source: Path, height: int | None) -> list[Scene]:
    """Crops of the photos that see most of the paint."""
    capture = load_capture(source, source / "transforms.json")  # its mesh is not read
    counted = []
    for view in capture.views:
        camera = canvas.cameras.get(view.name)
        if camera is not None and view.split == "train":
            surface, seen = _look(canvas.original, camera)
            painted = _painted(surface, seen, changed)
            if painted.sum() >= LEAST_PIXELS:
                counted.append((int(painted.sum()), view))
    counted.sort(key=lambda item: -item[0])
    chosen = replace(capture, views=[view for _, view in counted[:VIEWS]])
    with tempfile.TemporaryDirectory() as folder:
        photos = prepare_photos(chosen, Path(folder), height)
        return [_scene(canvas, changed, photos, index) for index in range(len(photos))]


def _look(asset: Asset, camera: Camera) -> tuple[Surface, Tensor]:
    camera = camera.to(asset.mesh.vertices)
    fragments = rasterize(asset.mesh.vertices, asset.mesh.faces, camera)
    return interpolate(fragments, asset.mesh, camera), fragments.face_id >= 0


def _painted(surface: Surface, seen: Tensor, changed: np.ndarray) -> Tensor:  # bool [1, H, W]
    return seen & (_texels(changed[..., None].astype(np.float32), surface)[..., 0] > 0.5)


def _texels(image: np.ndarray, surface: Surface) -> Tensor:  # [S, S, C] -> [1, H, W, C]
    """What a picture of the texture shows on a surface."""
    grid = torch.stack([2 * surface.uv[..., 0] - 1, 1 - 2 * surface.uv[..., 1]], dim=-1)
    picture = torch.from_numpy(image).to(surface.uv).permute(2, 0, 1)[None]
    found = torch.nn.functional.grid_sample(
        picture, grid, padding_mode="border", align_corners=False
    )
    return found.permute(0, 2, 3, 1)


def _scene(canvas: Canvas, changed: np.ndarray, photos: Photos, index: int) -> Scene:
    """The crop around the middle of what is painted."""
    camera = photos.cameras[index]
    surface, seen = _look(canvas.asset, camera)
    painted = _painted(surface, seen, changed)
    old, new = (
        _texels(asset.diffuse.cpu().numpy().astype(np.float32) / 255, surface)[0].cpu().numpy()
        for asset in (canvas.original, canvas.asset)
    )
    photo = photos[index].rgb.astype(np.float32) / 255
    highlight, ratio = highlight_and_ratio(photo, old)
    target = torch.from_numpy((new * ratio + highlight).clip(0, 1)).to(surface.uv)
    render = canvas.original.render(camera).to(surface.uv)
    target = torch.where(painted[:, None], target.permute(2, 0, 1)[None], render)
    rows, columns = (painted[0].any(dim=1 - axis).nonzero()[:, 0] for axis in (0, 1))
    window = tuple(
        slice(*_range(float(places.float().mean()), side))
        for places, side in zip((rows, columns), camera.size, strict=True)
    )
    background = canvas.asset.backdrop.behind(camera.to(surface.uv))
    cropped = Surface(*(field[:, *window].contiguous() for field in surface))
    return Scene(
        cropped,
        seen[:, *window],
        painted[:, *window],
        background[..., *window],
        target[..., *window],
    )


def _range(middle: float, side: int) -> tuple[int, int]:
    """A stretch of SIDE pixels, or of as many multiples of 32 as fit."""
    length = min(SIDE, side // 32 * 32)
    first = int(np.clip(round(middle - length / 2), 0, side - length))
    return first, first + length


def _step(asset: Asset, scene: Scene, adams: list[RowAdam], factor: float) -> None:
    points = Surface(*(field[scene.seen] for field in scene.surface))
    features = asset.texture.look_up(points.uv, points.footprint).clone().requires_grad_()
    image = features.new_zeros(*scene.seen.shape, features.shape[1])
    image = image.masked_scatter(scene.seen[..., None], features)
    render = asset.renderer(image, scene.surface, scene.seen, scene.background)
    error = (render - scene.target).abs().mean(dim=1)
    inside = scene.painted.to(error)
    loss = (error * inside).sum() / inside.sum().clamp(min=1)
    loss = loss + KEEP * (error * (1 - inside)).sum() / (1 - inside).sum().clamp(min=1)
    loss.backward()
    assert features.grad is not None
    under = scene.painted[scene.seen]
    for adam in adams:
        adam.step(points.uv[under], points.footprint[under], features.grad[under], factor)


def _rates(sizes: tuple[int, ...], channels: int) -> Tensor:  # [L, C]
    rates = torch.zeros(len(sizes), channels)
    rates[:LEVELS] = RATE
    return rates


def _zeros(pyramid: Pyramid) -> Tensor:
    return torch.zeros(len(pyramid.sizes), pyramid.texels.shape[1])
