"""The rasteriser for processors, bit for bit equal to the reference."""

import numpy as np
import torch
from torch import Tensor

from dnr.geometry.cameras import Camera
from dnr.raster.bands import run_in_bands
from dnr.raster.projection import project_vertices, projection
from dnr.raster.surface import Fragments, Hits
from dnr.raster.zbuffer import rasterize_rows, sample_rows


def rasterize_cpu(
    vertices: Tensor,  # [B, V, 3]
    faces: Tensor,  # [F, 3]
    camera: Camera,
) -> Fragments:
    """Fragments of the nearest faces, on the device of `vertices`."""
    corners, triangles, matrices = _arrays(vertices, faces, camera)
    shape = (len(corners), *camera.size)
    face_id = np.full(shape, -1, np.int32)
    barycentric = np.zeros((*shape, 3), corners.dtype)
    depth = np.zeros(shape, corners.dtype)
    for view, matrix in enumerate(matrices):
        points, boxes, near = project_vertices(corners[view], matrix, *camera.size, 0.5)
        found = face_id[view], barycentric[view], depth[view]
        run_in_bands(rasterize_rows, camera.size[0], points, boxes, triangles, near, *found)
    fields = face_id, barycentric, depth
    return Fragments(*(torch.from_numpy(field).to(vertices.device) for field in fields))


def sample_pixels_cpu(
    vertices: Tensor,  # [B, V, 3]
    faces: Tensor,  # [F, 3]
    camera: Camera,
    marked: Tensor,  # [B, H, W] bool
    supersampling: int,
) -> Hits:
    """Hits of a regular grid of supersampling x supersampling rays through marked pixels only."""
    corners, triangles, matrices = _arrays(vertices, faces, camera)
    height, width = camera.size
    views = []
    for view, matrix in enumerate(matrices):
        marks = marked[view].cpu().numpy()
        pixel = np.flatnonzero(marks)
        before = np.zeros((height, width + 1), np.int64)
        np.cumsum(marks, axis=1, out=before[:, 1:])
        before[1:] += np.cumsum(before[:-1, -1])[:, None]
        face_id = np.full((len(pixel), supersampling**2), -1, np.int32)
        barycentric = np.zeros((*face_id.shape, 3), corners.dtype)
        nearest = np.zeros(face_id.shape, np.float32)
        inset = 0.5 / supersampling
        points, boxes, near = project_vertices(corners[view], matrix, height, width, inset)
        scene = points, boxes, triangles, near, supersampling, before, pixel % width
        run_in_bands(sample_rows, height, *scene, nearest, face_id, barycentric)
        m, sample = np.nonzero(face_id >= 0)
        grid = np.stack([sample % supersampling, sample // supersampling], axis=-1)
        offset = ((grid + 0.5) / supersampling).astype(corners.dtype)
        pixel = pixel[m] + view * height * width
        views.append((face_id[m, sample], barycentric[m, sample], pixel, offset))
    fields = (np.concatenate(parts) for parts in zip(*views, strict=True))
    return Hits(*(torch.from_numpy(field).to(vertices.device) for field in fields))


def _arrays(vertices: Tensor, faces: Tensor, camera: Camera) -> tuple[np.ndarray, ...]:
    tensors = vertices, faces, projection(camera)
    corners, triangles, matrices = (tensor.detach().cpu().numpy() for tensor in tensors)
    return corners, triangles, matrices
