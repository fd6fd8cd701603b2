"""Finer triangles of the same shape, so that vertices can move where photos want them to."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from dnr.geometry.meshes import Mesh
from dnr.geometry.smoothing_groups import make_mesh


def subdivided(mesh: Mesh) -> Mesh:
    """Every face cut into four at the middles of its edges; uvs follow, shared edges stay shared.

    Creases are found anew from the angles between faces.
    """
    vertices, faces = _cut(mesh.vertices, mesh.faces)
    uvs, uv_faces = _cut(mesh.uvs, mesh.uv_faces)
    return make_mesh(vertices, faces, uvs, uv_faces)


def _cut(points: Tensor, faces: Tensor) -> tuple[Tensor, Tensor]:
    """Points with edge middles appended, and four faces for each."""
    corners = faces.numpy()
    ends = np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [2, 0]]])
    edges, index = np.unique(np.sort(ends, axis=1), axis=0, return_inverse=True)
    middle = points[torch.from_numpy(edges)].mean(dim=1)
    ab, bc, ca = (index.reshape(3, -1) + len(points)).astype(np.int64)
    a, b, c = corners.T
    cut = [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
    finer = np.concatenate([np.stack(face, axis=1) for face in cut])
    return torch.cat([points, middle]), torch.from_numpy(finer)
