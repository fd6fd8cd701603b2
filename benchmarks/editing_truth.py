"""What edited bench scenes really look like: the albedo is edited, the scene rendered anew.

Shares no code with the editor: texels are placed by the solids' own formulas, masks are drawn by
Pillow on the pixels of the paint view, and who sees what is decided by the ray caster.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageDraw

from dnr.geometry.cameras import Camera
from dnr.synthetic.atlas import chart_grid
from dnr.synthetic.primitives import NUM_CHARTS, surface_points
from dnr.synthetic.render import View, render_view
from dnr.synthetic.scene import Scene

FINER = 4
"""Pixels of a drawn mask along each side of a pixel of the view."""


class Texels(NamedTuple):
    """The texels of the albedo that lie in charts."""

    index: np.ndarray  # int64 [N], row * A + column
    position: np.ndarray  # float64 [N, 3]
    solid: np.ndarray  # int64 [N]


def exact_texels(scene: Scene) -> Texels:
    """Where every texel of the albedo lies in the world."""
    size = len(scene.albedo)
    index, position, owner = [], [], []
    row = 0
    for number, solid in enumerate(scene.solids):
        for chart in range(NUM_CHARTS[solid.kind]):
            left, top, right, bottom = scene.rectangles[row]
            points = surface_points(
                solid.kind, chart, chart_grid(scene.rectangles[row]).reshape(-1, 2)
            )
            world = solid.to_world
            position.append(points @ world[:, :3].T + world[:, 3])
            rows, columns = np.mgrid[top:bottom, left:right]
            index.append((rows * size + columns).reshape(-1))
            owner.append(np.full(len(points), number))
            row += 1
    return Texels(*(np.concatenate(parts) for parts in (index, position, owner)))


def pixels_of(
    texels: Texels, camera: Camera, depth: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:  # float32 [N, 2], bool [N]
    """Column and row of every texel in a view, and whether the view sees it."""
    matrix = camera.world_to_camera[0].double().numpy()
    local = texels.position @ matrix[:3, :3].T + matrix[:3, 3]
    on_screen = local @ camera.intrinsics[0].double().numpy().T
    pixel = (on_screen[:, :2] / on_screen[:, 2:]).astype(np.float32)
    shown = cv2.remap(depth, *_as_image(pixel - 0.5), cv2.INTER_NEAREST).reshape(-1)[: len(pixel)]
    seen = (shown > 0) & (local[:, 2] < shown * 1.01)
    return pixel, seen


def drawn_mask(
    size: tuple[int, int], draw: Callable[[ImageDraw.ImageDraw, int], None]
) -> Image.Image:
    """A mask in the pixels of a view, drawn `FINER` times as large."""
    image = Image.new("L", (size[1] * FINER, size[0] * FINER))
    draw(ImageDraw.Draw(image), FINER)
    return image


def carried(mask: np.ndarray, pixel: np.ndarray, seen: np.ndarray) -> np.ndarray:  # float32 [N]
    """A drawn mask [H * FINER, W * FINER] (or picture) on the texels that see it."""
    places = pixel * FINER - 0.5
    values = cv2.remap(mask.astype(np.float32), *_as_image(places), cv2.INTER_LINEAR)
    values = values.reshape(-1, *mask.shape[2:])[: len(pixel)]
    return np.where(seen.reshape(-1, *[1] * (mask.ndim - 2)), values, 0)


def with_albedo(scene: Scene, texels: Texels, colour: np.ndarray, share: np.ndarray) -> Scene:
    """The scene with `colour` [N, 3] mixed into its albedo by `share` [N]."""
    albedo = scene.albedo.astype(np.float64).copy()
    flat = albedo.reshape(-1, 3)
    old = flat[texels.index]
    flat[texels.index] = old + share[:, None] * (colour - old)
    return replace(scene, albedo=albedo.astype(scene.albedo.dtype))


def on_view(scene: Scene, texels: Texels, share: np.ndarray, view: View) -> np.ndarray:  # [H, W]
    """Texels' values as the pixels of a view show them."""
    size = len(scene.albedo)
    image = np.zeros(size * size, np.float32)
    image[texels.index] = share
    column = view.uv[..., 0] * size - 0.5
    row = (1 - view.uv[..., 1]) * size - 0.5
    values = cv2.remap(image.reshape(size, size), column, row, cv2.INTER_LINEAR)
    return np.where(view.object_mask, values, 0)


def render_all(scene: Scene, cameras: list[Camera]) -> list[View]:
    """The scene from every camera."""
    return [render_view(scene, camera) for camera in cameras]


def _as_image(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A list of places laid out as an image, which is what OpenCV looks up."""
    rows = -(-len(points) // 1024)
    padded = np.full((rows * 1024, 2), -10, np.float32)
    padded[: len(points)] = points
    across, down = padded.T.reshape(2, rows, 1024)
    return across, down
