"""How texture slides under pixels when the surface moves along its normals, in closed form.

A pixel keeps its ray. If the face it sees moves by h along its normal n, the ray with direction v
(towards the camera) meets the surface at a point displaced by h * (v / (v . n) - n) within the
face, and the uv there differs by that times the face's uv gradient.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
import torch

from dnr.geometry.meshes import Mesh

GRAZING = 0.15
"""Below this cosine a pixel says nothing reliable about depth."""


class FaceFrames(NamedTuple):
    """Per face what the kernels need."""

    vertices: np.ndarray  # int64 [F, 3]
    normal: np.ndarray  # float32 [F, 3]
    uv_gradient: np.ndarray  # float32 [F, 2, 3]


def face_frames(mesh: Mesh) -> FaceFrames:
    """Normals, and how uv changes per unit of way within each face (least squares)."""
    corners = mesh.vertices[mesh.faces].double()
    sides = torch.stack([corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]], dim=1)
    uvs = mesh.uvs[mesh.uv_faces].double()
    uv_sides = torch.stack([uvs[:, 1] - uvs[:, 0], uvs[:, 2] - uvs[:, 0]], dim=1)  # [F, 2, 2]
    gradient = uv_sides.transpose(1, 2) @ torch.linalg.pinv(sides).transpose(1, 2)
    normal = torch.nn.functional.normalize(torch.linalg.cross(sides[:, 0], sides[:, 1]), dim=-1)
    arrays = (x.float().numpy() for x in (normal, gradient))
    return FaceFrames(mesh.faces.numpy(), *arrays)


@numba.njit(cache=True, fastmath=True, inline="always")
def _slide(face, view, p, normal, uv_gradient):
    """uv change per unit of h, for u and v."""
    nx, ny, nz = normal[face, 0], normal[face, 1], normal[face, 2]
    facing = nx * view[p, 0] + ny * view[p, 1] + nz * view[p, 2]
    if abs(facing) < GRAZING:
        return np.float32(0), np.float32(0)
    over = np.float32(1) / facing
    x = view[p, 0] * over - nx
    y = view[p, 1] * over - ny
    z = view[p, 2] * over - nz
    u = uv_gradient[face, 0, 0] * x + uv_gradient[face, 0, 1] * y + uv_gradient[face, 0, 2] * z
    v = uv_gradient[face, 1, 0] * x + uv_gradient[face, 1, 1] * y + uv_gradient[face, 1, 2] * z
    return u, v


@numba.njit(cache=True, fastmath=True)
def slid_uv(faces, weights, view, uv, offsets, vertices, normal, uv_gradient, out):
    """Write into out [N, 2] where pixels look once vertices are displaced by offsets [V, 3]."""
    for p in range(len(faces)):
        face = faces[p]
        h = np.float32(0)
        for corner in range(3):
            vertex = vertices[face, corner]
            for axis in range(3):
                h += weights[p, corner] * offsets[vertex, axis] * normal[face, axis]
        u, v = _slide(face, view, p, normal, uv_gradient)
        out[p, 0] = uv[p, 0] + u * h
        out[p, 1] = uv[p, 1] + v * h


@numba.njit(cache=True, fastmath=True)
def offset_gradient(faces, weights, view, to_uv, vertices, normal, uv_gradient, out):
    """Add to out [V, 3] what gradients to_uv [N, 2] of `slid_uv` mean for the offsets."""
    for p in range(len(faces)):
        face = faces[p]
        u, v = _slide(face, view, p, normal, uv_gradient)
        to_h = to_uv[p, 0] * u + to_uv[p, 1] * v
        for corner in range(3):
            vertex = vertices[face, corner]
            for axis in range(3):
                out[vertex, axis] += to_h * weights[p, corner] * normal[face, axis]
