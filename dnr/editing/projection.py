"""Where the texels of an atlas lie in one view, and which of them it sees."""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
import torch

from dnr.editing.atlas import Atlas
from dnr.geometry.cameras import Camera
from dnr.geometry.meshes import Mesh
from dnr.raster.rasterize import rasterize

GRAZING = 0.1
"""Surface whose normal is nearly across the line of sight (cosine) is not painted from there."""
FADE = 0.1
"""Paint fades in over so much more of that cosine, instead of breaking off."""


class Projection(NamedTuple):
    """The texels of an atlas in one view."""

    pixel: np.ndarray  # float32 [N, 2] column and row; far outside where it is behind the camera
    seen: np.ndarray  # float32 [N] in [0, 1]: 0 where hidden, turned away or out of the picture
    texel_px: np.ndarray  # float32 [N]: about how many pixels a texel's side measures here


def project(atlas: Atlas, mesh: Mesh, camera: Camera) -> Projection:  # mesh: all that may hide
    """Which texels `camera` (a batch of one) sees where, against a depth image of twice its size.

    A texel is hidden if something stands before it by more than its own slope explains.
    """
    camera = camera.to(mesh.vertices)
    points = torch.from_numpy(atlas.position).to(mesh.vertices)
    on_screen = camera.project(points)[0].cpu().numpy()
    height, width = camera.size
    finer = rasterize(mesh.vertices, mesh.faces, camera.resized((2 * height, 2 * width)))
    depth = finer.depth[0].cpu().numpy()
    eye = camera.position[0].cpu().numpy()
    way = eye - atlas.position
    distance = np.linalg.norm(way, axis=1)
    facing = np.abs((way * atlas.normal).sum(axis=1)) / np.maximum(distance, 1e-12)
    seen = np.clip((facing - GRAZING) / FADE, 0, 1).astype(np.float32)
    focal = float(camera.intrinsics[0, 0, 0])
    slope = np.sqrt(np.maximum(1 - facing**2, 0)) / np.maximum(facing, GRAZING)
    # A pixel of the depth image is half a pixel wide; two of them, and a texel, may lie between.
    slack = on_screen[:, 2] * (slope + 0.5) * (1.5 / focal) + atlas.spacing
    _hide(on_screen, depth, slack.astype(np.float32), seen)
    pixel = on_screen[:, :2].copy()
    pixel[on_screen[:, 2] <= 0] = -1e6
    texel_px = atlas.spacing * focal / np.maximum(on_screen[:, 2], 1e-6)
    return Projection(pixel, seen, texel_px.astype(np.float32))


@numba.njit(cache=True)
def _hide(on_screen, depth, slack, seen):
    """Set `seen` to 0 for points outside of the picture or behind what `depth` (2 x) shows."""
    height, width = depth.shape
    for n in range(len(seen)):
        if seen[n] == 0:
            continue
        z = on_screen[n, 2]
        column, row = 2 * on_screen[n, 0] - 0.5, 2 * on_screen[n, 1] - 0.5
        inside = z > 0 and -0.5 <= column <= width - 0.5 and -0.5 <= row <= height - 0.5
        if not inside:
            seen[n] = 0
            continue
        left, top = int(np.floor(column)), int(np.floor(row))
        farthest = np.float32(0)
        for i in range(max(top, 0), min(top + 2, height)):
            for j in range(max(left, 0), min(left + 2, width)):
                farthest = max(farthest, depth[i, j])
        # At rims the depth image may show nothing where the texel's own surface just ends.
        if farthest > 0 and z > farthest + slack[n]:
            seen[n] = 0
