"""The mesh that comes with a capture: tessellated solids, or a wrong version of them."""

from __future__ import annotations

import numpy as np
import torch
from fast_simplification import simplify

from dnr.geometry.meshes import Mesh
from dnr.synthetic.config import SceneConfig
from dnr.synthetic.primitives import CYLINDER, SPHERE, chart_coordinates, facing_charts
from dnr.synthetic.scene import Scene
from dnr.synthetic.tessellation import Floats, Ints, Patch, cell_edge, tessellate


def build_proxy(scene: Scene, config: SceneConfig) -> Mesh:
    """The proxy mesh of `scene`, with uv in the space of `scene.albedo`."""
    edge = cell_edge(scene.solids, config.proxy_faces)
    size = len(scene.albedo)
    points, faces, uv_corners, groups = [], [], [], []
    num_points = 0
    for solid, first in zip(scene.solids, scene.first_charts(), strict=True):
        patch = tessellate(solid, edge)
        if config.decimate < 1:
            patch = _decimate(solid.kind, patch, config.decimate)
        own_faces = patch.faces[:, ::-1] if solid.inward else patch.faces
        st = patch.st[:, ::-1] if solid.inward else patch.st
        low = scene.rectangles[first + patch.charts][:, None, [0, 3]]
        high = scene.rectangles[first + patch.charts][:, None, [2, 1]]
        uv = (low + st * (high - low)) / size
        uv_corners.append(np.stack([uv[..., 0], 1 - uv[..., 1]], axis=-1))
        world = solid.to_world
        points.append(patch.points @ world[:, :3].T + world[:, 3])
        faces.append(own_faces + num_points)
        # Corners share a normal when they share a vertex and a smooth side.
        side = np.zeros_like(patch.charts) if solid.kind == SPHERE else patch.charts
        groups.append(np.stack([own_faces + num_points, np.repeat(side[:, None], 3, 1)], -1))
        num_points += len(patch.points)
    vertices = np.concatenate(points)
    uvs, uv_faces = _shared(np.concatenate(uv_corners).round(9))
    _, normal_faces = _shared(np.concatenate(groups))
    if config.displace > 0:
        vertices = displaced(vertices, config.displace, np.random.default_rng([config.seed, 4]))
    return Mesh(
        torch.from_numpy(vertices).float(),
        torch.from_numpy(np.concatenate(faces)),
        torch.from_numpy(uvs).float(),
        torch.from_numpy(uv_faces),
        torch.from_numpy(normal_faces),
    )


def displaced(vertices: Floats, share: float, rng: np.random.Generator) -> Floats:  # [V, 3]
    """`vertices` moved by a smooth random field; the mean length is `share` of the diagonal.

    The field is a sum of 24 sine waves with normally distributed amplitudes and with wavelengths
    between 1/5 and 1/2 of the bounding box's diagonal. It depends on the place only, so it tears
    nothing apart and is the same for a fine and a coarse mesh, up to its length.
    """
    diagonal = np.linalg.norm(vertices.max(axis=0) - vertices.min(axis=0))
    offset = np.zeros_like(vertices)
    for _ in range(24):
        direction = rng.normal(size=3)
        direction /= np.linalg.norm(direction)
        wavelength = diagonal * rng.uniform(1 / 5, 1 / 2)
        phase = vertices @ direction * (2 * np.pi / wavelength) + rng.uniform(0, 2 * np.pi)
        offset += np.sin(phase)[:, None] * rng.normal(size=3)
    mean = np.linalg.norm(offset, axis=1).mean()
    return vertices + offset * (share * diagonal / mean)


def _decimate(kind: int, patch: Patch, share: float) -> Patch:
    """Fewer triangles by quadric collapses, with the solid's own charts laid on them anew.

    A triangle goes to the chart whose side it faces most. Corners beyond that chart's edge are
    pulled onto the edge: the texture stretches there, as it does on badly unwrapped scans.
    """
    points, faces = simplify(patch.points, patch.faces.astype(np.int32), 1 - share)[:2]
    points, faces = np.asarray(points, np.float64), np.asarray(faces, np.int64)
    corners = points[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    charts = facing_charts(kind, normals)
    st = chart_coordinates(kind, np.repeat(charts, 3), corners.reshape(-1, 3)).reshape(-1, 3, 2)
    if kind == CYLINDER:  # unroll the wall past its seam, on the side where most corners are
        wall = charts == 0
        middle = np.median(st[wall, :, 0], axis=1, keepdims=True)
        st[wall, :, 0] -= np.round(st[wall, :, 0] - middle)
    return Patch(points, faces, charts, np.clip(st, 0.0, 1.0))


def _shared(corners: np.ndarray) -> tuple[np.ndarray, Ints]:  # [F, 3, K] -> [N, K], [F, 3]
    """The distinct rows among the corners of all faces, and their indices."""
    rows, inverse = np.unique(corners.reshape(-1, corners.shape[-1]), axis=0, return_inverse=True)
    return rows, inverse.reshape(-1, 3)
