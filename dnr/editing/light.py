"""Light that is baked into the colour: lamps at places, and what of each arrives where.

What stands before a lamp casts a shadow, so light can be worked out anew when things move.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from dnr.geometry.cameras import Camera, intrinsics_from_fov, look_at
from dnr.geometry.meshes import Mesh
from dnr.raster.rasterize import rasterize

SIDE = 512
"""Pixels along each side of a lamp's view of the scene."""
LEAST_FACING = np.float32(0.1)
"""Cosine; surface that turns farther away from a lamp has no steeper slope for the depth test."""
NEAREST = 1.02
"""Lamps stand outside the scene, by this ratio to its radius."""
DARKEST = 1e-3
"""Shade, whose mean is one, is never taken to be darker."""


class Points(NamedTuple):
    """Places on the surface that light arrives at."""

    position: np.ndarray  # float32 [N, 3]
    normal: np.ndarray  # float32 [N, 3] of the mesh
    leaning: np.ndarray  # float32 [N, 3] with the relief that the mesh does not have
    spacing: float  # between neighbours


class Light(NamedTuple):
    """Lamps around a scene. Scale is arbitrary: nobody can tell bright paint from bright light."""

    lamps: np.ndarray  # float64 [K, 3], places
    power: np.ndarray  # float32 [K + 1, 3], the last for light from everywhere


def shade(light: Light, mesh: Mesh, points: Points) -> np.ndarray:  # float32 [N, 3]
    """How bright white paint would be, with the shadows that `mesh` casts."""
    total = np.broadcast_to(light.power[-1], points.position.shape).copy()
    for lamp, power in zip(light.lamps, light.power[:-1], strict=True):
        if power.any():
            total += arriving(mesh, points, lamp)[:, None] * power
    return np.maximum(total, DARKEST)


def arriving(mesh: Mesh, points: Points, lamp: np.ndarray) -> np.ndarray:  # float32 [N]
    """The share of a lamp's light that is not in shadow, times the cosine to the surface.

    In a closed room no lamp outside reaches anything: all light there comes from everywhere.
    """
    camera = _seen_from(mesh, lamp)
    fragments = rasterize(mesh.vertices, mesh.faces, camera)
    to_pixel = camera.intrinsics[0] @ camera.world_to_camera[0, :3]
    return _arriving(
        points.position,
        points.normal,
        points.leaning,
        np.float32(points.spacing),
        lamp.astype(np.float32),
        to_pixel.cpu().numpy(),
        np.float32(1 / float(camera.intrinsics[0, 0, 0])),
        fragments.depth[0].cpu().numpy(),
    )


def surroundings(mesh: Mesh) -> tuple[np.ndarray, float]:
    """Middle [3] and radius of the ball around a mesh."""
    corners = mesh.vertices.cpu().double().numpy()
    low, high = corners.min(axis=0), corners.max(axis=0)
    return (low + high) / 2, float(np.linalg.norm(high - low)) / 2


def _seen_from(mesh: Mesh, lamp: np.ndarray) -> Camera:
    """The whole mesh as a lamp sees it."""
    middle, radius = surroundings(mesh)
    away = float(np.linalg.norm(lamp - middle))
    like = mesh.vertices
    up = like.new_tensor([0.0, 0.0, 1.0] if abs(lamp[2] - middle[2]) < 0.9 * away else [0, 1.0, 0])
    target, place = (like.new_tensor(x) for x in (middle, lamp[None]))
    opening = 2 * np.rad2deg(np.arcsin(min(radius / away, 1 / NEAREST)))
    lens = intrinsics_from_fov(float(opening), (SIDE, SIDE), like)
    return Camera(look_at(place, target, up), lens, (SIDE, SIDE))


@numba.njit(cache=True, fastmath=True)
def _arriving(position, normal, leaning, spacing, lamp, to_pixel, pixel, depth):
    """`arriving` against a depth image; `pixel` is the side of one at distance one."""
    height, width = depth.shape
    out = np.zeros(len(position), np.float32)
    for n in range(len(out)):
        away, facing, cosine = np.float32(0), np.float32(0), np.float32(0)
        for k in range(3):
            way = lamp[k] - position[n, k]
            away += way * way
            facing += way * normal[n, k]
            cosine += way * leaning[n, k]
        away = np.sqrt(away)
        if cosine <= 0:
            continue
        facing = min(max(facing / away, LEAST_FACING), np.float32(1))
        x, y, z = to_pixel[0, 3], to_pixel[1, 3], to_pixel[2, 3]
        for k in range(3):
            raised = position[n, k] + spacing * normal[n, k]
            x += to_pixel[0, k] * raised
            y += to_pixel[1, k] * raised
            z += to_pixel[2, k] * raised
        slope = np.sqrt(1 - facing * facing) / facing
        last = z - z * (slope + np.float32(0.5)) * pixel
        column, row = x / z - np.float32(0.5), y / z - np.float32(0.5)
        left, top = int(np.floor(column)), int(np.floor(row))
        x, y = column - left, row - top
        free = np.float32(0)
        for below in range(2):
            for right in range(2):
                i = min(max(top + below, 0), height - 1)
                j = min(max(left + right, 0), width - 1)
                if depth[i, j] <= 0 or last <= depth[i, j]:
                    free += (y if below else 1 - y) * (x if right else 1 - x)
        out[n] = free * cosine / away
    return out
