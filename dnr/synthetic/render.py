"""Exact pictures of a scene, and what each pixel's centre hits."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dnr.geometry.cameras import Camera
from dnr.synthetic.atlas import to_uv
from dnr.synthetic.packed import Packed, pack
from dnr.synthetic.scene import Colour, Scene
from dnr.synthetic.shading import add_colours, locate, nearest
from dnr.synthetic.vectors import Vector, along, kernel, turned, unit

BLOCK_ROWS = 8
Picture = np.ndarray  # [H, W, 3]


class View(NamedTuple):
    """One picture and its ground truth. All but `image` are exact at the pixels' centres."""

    image: np.ndarray  # [H, W, 3] in [0, 1], mean over the samples of each pixel
    object_mask: np.ndarray  # [H, W]
    depth: np.ndarray  # [H, W] camera z, 0 where nothing is hit
    uv: np.ndarray  # [H, W, 2], 0 where nothing is hit


def render_view(
    scene: Scene, camera: Camera, gain: Colour = (1.0, 1.0, 1.0), supersampling: int = 2
) -> View:
    """The scene as `camera` (a batch of one) sees it.

    There is no gamma: what is computed is what a PNG stores. `gain` multiplies the light before
    it is clipped to [0, 1], as an exposure does. Each pixel is the mean of
    `supersampling` x `supersampling` rays on a regular grid.
    """
    if len(camera) != 1:
        raise ValueError(f"camera must be one view, got {len(camera)}")
    packed = pack(scene)
    world_to_camera = camera.world_to_camera[0].double().cpu().numpy()
    intrinsics = camera.intrinsics[0].double().cpu().numpy()
    to_pixel = intrinsics @ world_to_camera[:3, :3]
    centre = -np.linalg.solve(world_to_camera[:3, :3], world_to_camera[:3, 3])
    eye = (float(centre[0]), float(centre[1]), float(centre[2]))
    from_pixel = np.linalg.inv(to_pixel)[None]  # directions with camera z = 1
    height, width = camera.size
    image = np.empty((height, width, 3))
    depth, uv = np.zeros((height, width), np.float32), np.zeros((height, width, 2), np.float32)
    _shade(packed, eye, from_pixel, supersampling, image)
    _measure(packed, eye, from_pixel, depth, uv)
    exposed = np.clip(image * np.asarray(gain), 0.0, 1.0).astype(np.float32)
    return View(exposed, depth > 0, depth, uv)


def _shade(
    scene: Packed, eye: Vector, from_pixel: np.ndarray, samples: int, image: Picture
) -> None:
    """Fill `image`, a few rows at a time so that the rays stay in the processor's cache."""
    height, width = image.shape[:2]
    for top in range(0, height, BLOCK_ROWS):
        rows = min(BLOCK_ROWS, height - top)
        rays = np.empty((rows * width * samples**2, 7))
        mirrored, colours = np.empty_like(rays), np.zeros((len(rays), 3))
        _start_rays(eye, from_pixel, samples, width, top, rays)
        add_colours(scene, eye, rays, True, colours, mirrored)
        add_colours(scene, eye, mirrored, False, colours, rays)  # one bounce: `rays` is spent
        image[top : top + rows] = colours.reshape(rows, width, -1, 3).mean(axis=2)


@kernel
def _start_rays(
    eye: Vector, from_pixel: np.ndarray, samples: int, width: int, top: int, rays: np.ndarray
) -> None:
    """Write the rays of all samples, pixel by pixel from row `top` on."""
    index = 0
    for pixel in range(len(rays) // (samples * samples)):
        for i in range(samples):
            for j in range(samples):
                x = pixel % width + (j + 0.5) / samples
                y = top + pixel // width + (i + 0.5) / samples
                rays[index, 0], rays[index, 1], rays[index, 2] = eye
                direction = unit(turned(from_pixel, 0, (x, y, 1.0)))
                rays[index, 3], rays[index, 4], rays[index, 5] = direction
                rays[index, 6] = 1.0
                index += 1


@kernel
def _measure(
    scene: Packed,
    eye: Vector,
    from_pixel: np.ndarray,
    depth: np.ndarray,
    uv: np.ndarray,
) -> None:
    solids, from_world, rectangles = scene.solids, scene.from_world, scene.rectangles
    size = len(scene.albedo)
    height, width = depth.shape
    for row in range(height):
        for column in range(width):
            direction = turned(from_pixel, 0, (column + 0.5, row + 0.5, 1.0))
            distance, p = nearest(solids, from_world, eye, direction)  # in units of camera z
            if p >= 0:
                depth[row, column] = distance
                point = along(eye, distance, direction)
                chart, s, t, _ = locate(solids, from_world, p, point)
                u, v = to_uv(rectangles[chart], size, s, t)
                uv[row, column, 0], uv[row, column, 1] = u, v
