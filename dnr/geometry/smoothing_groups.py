"""Which corners of a mesh share a smooth normal, and the constructor that fills them in."""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from dnr.geometry.meshes import Mesh
from dnr.shapes import check_shape

MOST_FACES_ON_AN_EDGE = 4  # a double-sided wall: two faces on either side. More are creases


def make_mesh(
    vertices: Tensor,  # [V, 3]
    faces: Tensor,  # [F, 3] int64
    uvs: Tensor | None = None,  # [T, 2]
    uv_faces: Tensor | None = None,  # [F, 3] int64, -1 at corners that have no uv
    crease_deg: float = 45.0,
) -> Mesh:
    """A mesh whose normals are smooth except across edges folded by `crease_deg` or more.

    Nothing is welded: faces are neighbours only where they share the indices of an edge. Without
    uvs the mesh has an empty `uvs` and -1 in `uv_faces`, until it is unwrapped.
    """
    if uvs is None or uv_faces is None:
        uvs, uv_faces = vertices.new_zeros(0, 2), torch.full_like(faces, -1)
    check_shape("vertices", vertices, "V 3")
    check_shape("faces", faces, "F 3")
    check_shape("uvs", uvs, "T 2")
    check_shape("uv_faces", uv_faces, f"{len(faces)} 3")
    if len(faces) and not (faces.min() >= 0 and faces.max() < len(vertices)):
        raise ValueError(f"faces must index {len(vertices)} vertices, got {int(faces.max())}")
    groups = smoothing_groups(vertices.detach().cpu().numpy(), faces.cpu().numpy(), crease_deg)
    return Mesh(vertices, faces, uvs, uv_faces, torch.from_numpy(groups).to(faces.device))


def smoothing_groups(
    vertices: np.ndarray,  # [V, 3]
    faces: np.ndarray,  # [F, 3]
    crease_deg: float,
) -> np.ndarray:  # [F, 3] int64, 0 .. N-1
    """One index for all corners of a vertex that are joined through smooth edges around it."""
    first, second = _corners_across_smooth_edges(vertices, faces, crease_deg)
    joined = coo_array((np.ones(len(first), bool), (first, second)), shape=(faces.size, faces.size))
    _, group = connected_components(joined, directed=False)
    return group.astype(np.int64).reshape(-1, 3)


def _corners_across_smooth_edges(
    vertices: np.ndarray, faces: np.ndarray, crease_deg: float
) -> tuple[np.ndarray, np.ndarray]:  # corner numbers 3 * face + 0..2
    """Pairs of corners at the same end of an edge whose two faces fold by less than the crease."""
    normals = _unit_normals(vertices, faces)
    corner = np.arange(faces.size)
    following = corner - corner % 3 + (corner + 1) % 3
    tail, head = faces.reshape(-1), faces.reshape(-1)[following]
    low, high = np.where(tail < head, corner, following), np.where(tail < head, following, corner)
    edge = np.minimum(tail, head) * len(vertices) + np.maximum(tail, head)
    order = np.argsort(edge, kind="stable")
    edge, low, high = edge[order], low[order], high[order]
    pairs = []
    for step in range(1, MOST_FACES_ON_AN_EDGE):
        here = np.flatnonzero(edge[step:] == edge[:-step])
        folded = (normals[low[here] // 3] * normals[low[here + step] // 3]).sum(axis=1)
        here = here[folded > np.cos(np.deg2rad(crease_deg))]
        pairs += [(low[here], low[here + step]), (high[here], high[here + step])]
    return np.concatenate([p[0] for p in pairs]), np.concatenate([p[1] for p in pairs])


def _unit_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:  # [F, 3] float64
    """Normals of the faces; zero for those without area, which therefore join nothing."""
    corners = vertices.astype(np.float64)[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    return np.divide(normals, length, out=np.zeros_like(normals), where=length > 0)
