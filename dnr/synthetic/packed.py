"""A scene as plain arrays, which is what numba's kernels take."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dnr.synthetic.scene import Scene


class Packed(NamedTuple):
    """A scene as arrays for the kernels."""

    solids: np.ndarray  # [P, 8] kind, inward (-1 or 1), first chart, then the material:
    # specular, shininess, mirror, bump, bump frequency
    from_world: np.ndarray  # [P, 3, 4]
    rectangles: np.ndarray  # [C, 4]
    albedo: np.ndarray  # [A, A, 3]
    visibility: np.ndarray  # [A, A, L + 1]
    lights: np.ndarray  # [L, 6] position, colour
    flash: np.ndarray  # [3]
    ambient: np.ndarray  # [3]
    sky: np.ndarray  # [3 + K, 7] gradient colours in the last columns, then the lobes


def pack(scene: Scene) -> Packed:
    """The arrays of `scene`."""
    rows = []
    for solid, first in zip(scene.solids, scene.first_charts(), strict=True):
        m = solid.material
        inward = -1.0 if solid.inward else 1.0
        rows.append(
            [solid.kind, inward, first, m.specular, m.shininess, m.mirror, m.bump, m.bump_frequency]
        )
    sky = np.zeros((3 + len(scene.sky.lobes), 7))
    sky[:3, 4:] = scene.sky.ground, scene.sky.horizon, scene.sky.zenith
    sky[3:] = scene.sky.lobes
    return Packed(
        solids=np.array(rows, np.float64),
        from_world=np.stack([solid.from_world for solid in scene.solids]),
        rectangles=scene.rectangles,
        albedo=scene.albedo,
        visibility=scene.visibility,
        lights=np.array([[*x.position, *x.colour] for x in scene.lights]).reshape(-1, 6),
        flash=np.array(scene.flash or (0.0, 0.0, 0.0)),
        ambient=np.array(scene.ambient),
        sky=sky,
    )
