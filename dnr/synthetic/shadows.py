"""The share of each light that reaches each texel: soft shadows and dark corners, computed once."""

from __future__ import annotations

import numpy as np

from dnr.synthetic.primitives import NUM_CHARTS, from_chart, intersect, outward
from dnr.synthetic.scene import Light, Solid
from dnr.synthetic.vectors import (
    Vector,
    along,
    dot,
    kernel,
    moved,
    scaled,
    turned,
    turned_back,
    unit,
)

ABOVE = 1e-4  # shadow rays start this far above the surface, in units of the world
NUM_LIGHT_RAYS = 32
NUM_AMBIENT_RAYS = 64


def bake_visibility(
    solids: tuple[Solid, ...],
    lights: tuple[Light, ...],
    ambient_reach: float,  # in units of the world: what is farther away does not darken
    rectangles: np.ndarray,  # [C, 4]
    size: int,
) -> np.ndarray:  # [A, A, L + 1]
    """Shares in [0, 1], one per light and the last for the ambient light; 1 between the charts."""
    shares = np.ones((size, size, len(lights) + 1), np.float32)
    kinds = np.array([solid.kind for solid in solids])
    maps = (
        np.stack([solid.to_world for solid in solids]),
        np.stack([solid.from_world for solid in solids]),
        np.array([-1.0 if solid.inward else 1.0 for solid in solids]),
    )
    ball = _ball(NUM_LIGHT_RAYS)
    centres = np.array([light.position for light in lights]).reshape(-1, 1, 3)
    radii = np.array([light.radius for light in lights]).reshape(-1, 1, 1)
    spread = ambient_reach * _sphere(2 * NUM_AMBIENT_RAYS)
    row = 0
    for own, solid in enumerate(solids):
        for chart in range(NUM_CHARTS[solid.kind]):
            balls = centres + radii * ball
            _bake_chart(kinds, maps, own, chart, balls, spread, rectangles[row], shares)
            row += 1
    return shares


def _sphere(count: int) -> np.ndarray:  # [count, 3]
    """Unit vectors, evenly spread (a Fibonacci spiral)."""
    index = np.arange(count) + 0.5
    z, angle = 1 - 2 * index / count, np.pi * (1 + 5**0.5) * index
    radius = np.sqrt(1 - z**2)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), z], axis=1)


def _ball(count: int) -> np.ndarray:  # [count, 3]
    """Points evenly spread in the unit ball."""
    radius = ((np.arange(count) * 0.618034 + 0.5) % 1.0) ** (1 / 3)
    return _sphere(count) * radius[:, None]


@kernel
def _blocked(kinds: np.ndarray, from_world: np.ndarray, origin: Vector, ray: Vector) -> bool:
    """Whether something stands between `origin` and `origin + ray`."""
    for p in range(len(kinds)):
        if intersect(kinds[p], moved(from_world, p, origin), turned(from_world, p, ray)) < 1.0:
            return True
    return False


@kernel
def _bake_chart(
    kinds: np.ndarray,
    maps: tuple[np.ndarray, np.ndarray, np.ndarray],
    own: int,
    chart: int,
    balls: np.ndarray,
    spread: np.ndarray,
    rectangle: np.ndarray,
    shares: np.ndarray,
) -> None:
    """Fill the texels of one chart of solid `own`; `maps` lead to the world, back, and inwards."""
    to_world, from_world, inward = maps
    width, height = rectangle[2] - rectangle[0], rectangle[3] - rectangle[1]
    num_lights, num_rays = balls.shape[0], balls.shape[1]
    for index in range(width * height):
        row, column = index // width, index % width
        s, t = (column + 0.5) / width, 1.0 - (row + 0.5) / height
        local = from_chart(kinds[own], chart, s, t)
        normal = unit(turned_back(from_world, own, outward(kinds[own], chart, local)))
        normal = scaled(normal, inward[own])
        point = along(moved(to_world, own, local), ABOVE, normal)
        texel = shares[rectangle[1] + row, rectangle[0] + column]
        for i in range(num_lights):
            free = 0.0
            for j in range(num_rays):
                ray = along((balls[i, j, 0], balls[i, j, 1], balls[i, j, 2]), -1.0, point)
                if dot(ray, normal) > 0.0 and not _blocked(kinds, from_world, point, ray):
                    free += 1.0
            texel[i] = free / num_rays
        total, free = 0.0, 0.0
        for j in range(len(spread)):
            ray = (spread[j, 0], spread[j, 1], spread[j, 2])
            cosine = dot(ray, normal)
            if cosine > 0.0:
                total += cosine
                if not _blocked(kinds, from_world, point, ray):
                    free += cosine
        texel[num_lights] = free / total
