"""The two shapes of a mesh in files: separate indices (OBJ), or points with everything (others)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dnr.geometry.meshes import Mesh


class MeshArrays(NamedTuple):
    """As in OBJ files: positions and uvs with their own indices."""

    vertices: np.ndarray  # [V, 3]
    faces: np.ndarray  # [F, 3] int64
    uvs: np.ndarray  # [T, 2], (0, 0) is the bottom-left corner
    uv_faces: np.ndarray  # [F, 3] int64, -1 at corners that have no uv


class PointArrays(NamedTuple):
    """As in PLY and GLB files: one index for all that belongs to a corner."""

    positions: np.ndarray  # [P, 3]
    normals: np.ndarray | None  # [P, 3]
    uvs: np.ndarray | None  # [P, 2], (0, 0) is the bottom-left corner
    triangles: np.ndarray  # [F, 3] int64


def points_of(mesh: Mesh) -> PointArrays:
    """One point for every combination of position, uv and normal that the mesh uses."""
    indices = [mesh.faces, mesh.uv_faces, mesh.normal_faces]
    corners = np.stack([index.cpu().numpy().reshape(-1) for index in indices], axis=1)
    kept, point_of_corner = first_of_equal(corners)
    vertex, uv, normal = corners[kept].T
    uvs = mesh.uvs.detach().cpu().numpy()[uv] if len(mesh.uvs) and (uv >= 0).all() else None
    return PointArrays(
        mesh.vertices.detach().cpu().numpy()[vertex],
        mesh.normals().detach().cpu().numpy()[normal],
        uvs,
        point_of_corner.reshape(-1, 3),
    )


def welded(points: PointArrays) -> MeshArrays:
    """The mesh that the points were split from: bit-identical positions become one vertex.

    Points with the same position and uv share a uv index, so that charts hang together.
    """
    kept, vertex = first_of_equal(points.positions)
    vertices, faces = points.positions[kept], vertex[points.triangles]
    if points.uvs is None:
        return MeshArrays(vertices, faces, np.zeros((0, 2), np.float32), np.full_like(faces, -1))
    kept, uv = first_of_equal(np.column_stack([vertex, points.uvs.astype(np.float64)]))
    return MeshArrays(vertices, faces, points.uvs[kept], uv[points.triangles])


def first_of_equal(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:  # [N, K] -> [M], [N]
    """Numbers of the rows that differ from all before them, and for each row its place there."""
    order = np.lexsort(rows.T)  # stable: the first of equal rows comes first
    new = np.ones(len(rows), bool)
    new[1:] = (rows[order[1:]] != rows[order[:-1]]).any(axis=1)
    first = order[new]
    place = np.empty_like(first)
    place[np.argsort(first)] = np.arange(len(first))
    inverse = np.empty(len(rows), np.int64)
    inverse[order] = place[np.cumsum(new) - 1]
    return np.sort(first), inverse


def fans(sizes: np.ndarray) -> np.ndarray:  # [polygons] -> [F, 3] numbers of corners
    """Triangles around the first corner of each polygon, corners counted through all polygons.

    Polygons of one or two corners make none; ones that are not convex come out folded.
    """
    triangles = np.maximum(sizes - 2, 0)
    start = np.repeat(np.cumsum(sizes) - sizes, triangles)
    step = np.arange(triangles.sum()) - np.repeat(np.cumsum(triangles) - triangles, triangles)
    return np.stack([start, start + step + 1, start + step + 2], axis=1)
