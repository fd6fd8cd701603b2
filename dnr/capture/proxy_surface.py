"""The surface in a volume as a mesh to paint on: what cameras see of it, few faces, uvs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from scipy import sparse
from scipy.sparse import csgraph

from dnr.capture.volume import Box
from dnr.geometry.cameras import Camera
from dnr.geometry.meshes import Mesh
from dnr.geometry.unwrap import unwrap
from dnr.raster.rasterize import rasterize

PADDING = 0.2  # of a photo on each side: held-out views look there
LEAST_PART = 0.004  # of all faces: smaller islands are noise
DILATION = 3  # rings of faces around those that are seen
SHELL_SIDE = 12  # squares along each side of the outer shell
SHELL_FACES = 6 * 2 * SHELL_SIDE**2
SHELL_REACH = 3.0  # diagonals of the scene's box, at most, beyond the box
SHELL_SHARE = 0.1  # of the texture, about

Triangles = tuple[np.ndarray, np.ndarray]  # vertices float32 [V, 3], faces int32 [F, 3]


def extract(values: np.ndarray, box: Box) -> Triangles:
    """The zero level of distances that are positive in free space, seen from there."""
    from skimage.measure import marching_cubes  # takes a while to load

    if not values.min() < 0 < values.max():
        return np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32)
    vertices, faces, _, _ = marching_cubes(values, 0.0)
    return (vertices * box.voxel + box.low).astype(np.float32), faces.astype(np.int32)


def seen_part(triangles: Triangles, cameras: list[Camera]) -> Triangles:
    """The larger parts of the faces that some camera sees, or nearly sees."""
    vertices, faces = triangles
    seen = np.zeros(len(faces), bool)
    points, corners = torch.from_numpy(vertices), torch.from_numpy(faces)
    for camera in cameras:
        found = rasterize(points, corners, _padded(camera)).face_id.numpy()
        seen[found[found >= 0]] = True
    touched = np.zeros(len(vertices), bool)
    for _ in range(DILATION):
        touched[faces[seen]] = True
        seen |= touched[faces].any(axis=1)
    faces = faces[seen]
    return without_unused(vertices, faces[_in_large_parts(faces, len(vertices))])


def _padded(camera: Camera) -> Camera:
    """The same camera with a wider sensor, at half the resolution: faces are small enough."""
    height, width = camera.size
    more = round(PADDING * height), round(PADDING * width)
    matrix = camera.intrinsics.clone()
    matrix[:, 0, 2] += more[1]
    matrix[:, 1, 2] += more[0]
    return replace(camera, intrinsics=matrix, size=(height + 2 * more[0], width + 2 * more[1]))


def _in_large_parts(faces: np.ndarray, num_vertices: int) -> np.ndarray:  # bool [F]
    if not len(faces):
        return np.zeros(0, bool)
    ends = faces[:, [0, 1]], faces[:, [1, 2]]
    rows, columns = np.concatenate(ends).T
    graph = sparse.coo_matrix(
        (np.ones(len(rows), np.int8), (rows, columns)), (num_vertices, num_vertices)
    )
    _, part = csgraph.connected_components(graph, directed=False)
    count = np.bincount(part[faces[:, 0]])
    return count[part[faces[:, 0]]] >= LEAST_PART * len(faces)


def without_unused(vertices: np.ndarray, faces: np.ndarray) -> Triangles:
    """The same faces with only those vertices that they use."""
    used, index = np.unique(faces.reshape(-1), return_inverse=True)
    return vertices[used], index.reshape(-1, 3).astype(np.int32)


def decimated(triangles: Triangles, num_faces: int) -> Triangles:
    """About `num_faces` faces that stay close to the surface (quadric error)."""
    from fast_simplification import simplify  # takes a while to load

    vertices, faces = triangles
    if len(faces) <= num_faces:
        return triangles
    points, corners, *_ = simplify(vertices, faces, target_count=num_faces, agg=5)
    return without_unused(np.asarray(points, np.float32), np.asarray(corners, np.int32))


def shell_around(box: Box, centres: np.ndarray) -> Triangles:  # centres [V, 3] of cameras
    """A far box around scene and cameras, so that whatever passes by the mesh meets something.

    A camera that strayed much farther than the scene is wide is left outside.
    """
    reach = SHELL_REACH * float(np.linalg.norm(box.high - box.low))
    centres = np.clip(centres, box.low - reach, box.high + reach)
    low, high = np.minimum(box.low, centres.min(axis=0)), np.maximum(box.high, centres.max(axis=0))
    low, high = low - 0.05 * (high - low), high + 0.05 * (high - low)
    vertices, faces = [], []
    side = np.arange(SHELL_SIDE + 1) / SHELL_SIDE
    first = np.arange(SHELL_SIDE)[:, None] * (SHELL_SIDE + 1) + np.arange(SHELL_SIDE)
    right, down = first + 1, first + SHELL_SIDE + 1
    squares = np.stack([first, right, down + 1, first, down + 1, down], axis=-1).reshape(-1, 3)
    for axis in range(3):
        for end in (0.0, 1.0):
            start = sum(len(points) for points in vertices)
            unit = np.empty((SHELL_SIDE + 1, SHELL_SIDE + 1, 3))
            unit[..., axis] = end
            unit[..., (axis + 1) % 3], unit[..., (axis + 2) % 3] = side[:, None], side
            inward = squares if end == 1.0 else squares[:, ::-1]
            vertices.append(low + unit.reshape(-1, 3) * (high - low))
            faces.append(inward + start)
    return np.concatenate(vertices).astype(np.float32), np.concatenate(faces).astype(np.int32)


def without_shell(mesh: Mesh) -> torch.Tensor:  # int64 [F, 3]
    """The mesh's faces but for those of a shell, which lie on its bounding box, if it has one."""
    rest, last = mesh.faces[:-SHELL_FACES], mesh.faces[-SHELL_FACES:]
    corners = mesh.vertices[last].reshape(-1, 3)
    near = 1e-5 * mesh.diameter()
    ends = mesh.vertices.amin(dim=0), mesh.vertices.amax(dim=0)
    outermost = torch.stack([(corners - end).abs() < near for end in ends]).any(dim=0).any(dim=1)
    return rest if len(rest) and bool(outermost.all()) else mesh.faces


def paintable(surface: Triangles, shell: Triangles | None) -> Mesh:
    """Both as one mesh with uvs; the shell, which nothing much is seen of, gets little texture."""
    vertices, faces = surface
    moved = vertices
    if shell is not None:
        share = _area(surface) / max(_area(shell), 1e-30) * SHELL_SHARE
        shrunk = shell[0] * np.float32(min(share**0.5, 1.0))
        faces = np.concatenate([faces, shell[1] + len(vertices)])
        moved = np.concatenate([vertices, shrunk])
        vertices = np.concatenate([vertices, shell[0]])
    corners = torch.from_numpy(faces.astype(np.int64))
    nothing = torch.zeros(0, 2), torch.full_like(corners, -1)
    flat = unwrap(Mesh(torch.from_numpy(moved), corners, *nothing, corners))
    return flat.moved(torch.from_numpy(vertices))


def _area(triangles: Triangles) -> float:
    corners = triangles[0][triangles[1]].astype(np.float64)
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return float(np.linalg.norm(across, axis=1).sum() / 2)
