"""What all rasterisers share: homogeneous pixel coordinates and the near plane.

A vertex becomes h = (column * w, row * w, w) with w its depth. Solving sum_k weight_k h_k = pixel
for a pixel (column, row, 1) is the same as shooting a ray, so nothing has to be clipped: vertices
behind the camera simply have w < 0 (Olano and Greer, "Triangle scan conversion using 2D
homogeneous coordinates", 1997).
"""

import math

import numpy as np
import torch
from torch import Tensor

from dnr.geometry.cameras import Camera
from dnr.raster.bands import compiled

NEAR = 1e-6
"""Nothing nearer than this share of the depth of the farthest vertex is seen."""

DEGENERATE = 1e-14
"""A determinant below this share of its own terms is rounding noise: about 1e-7 square pixels."""

BEHIND = -(2**31)
"""Stands in the pixel box of a vertex that has no place on screen."""

SLACK_PX = 1e-6
"""Added to pixel boxes; far more than the rounding of a projection."""


def projection(camera: Camera) -> Tensor:  # [B, 3, 4] float64
    """Matrices from world points (x, y, z, 1) to homogeneous pixel coordinates."""
    return camera.intrinsics.detach().double() @ camera.world_to_camera[:, :3].detach().double()


def homogeneous(vertices: Tensor, matrix: Tensor) -> Tensor:  # [V, 3], [3, 4] -> [V, 3] float64
    """Vertices as (column * w, row * w, w). Written out so that every backend rounds alike."""
    x, y, z = vertices.detach().double().unbind(-1)
    rows = [m[0] * x + m[1] * y + m[2] * z + m[3] for m in matrix]
    return torch.stack(rows, dim=-1)


def near_depth(depth: Tensor) -> Tensor:  # [..., V] -> [...]
    """Depth of the near plane of one view; 0 when everything is behind the camera."""
    visible = torch.where(torch.isfinite(depth) & (depth > 0), depth, torch.zeros_like(depth))
    return NEAR * visible.amax(dim=-1)


@compiled
def project_vertices(vertices, matrix, height, width, inset):
    """Homogeneous points [V, 3], their pixel boxes [V, 4], and the near plane.

    A box is (first column, last column, first row, last row): pixels that have samples right of,
    left of, below and above the vertex, when samples keep `inset` from the pixel's borders.
    """
    points = np.empty((len(vertices), 3), np.float64)
    boxes = np.empty((len(vertices), 4), np.int32)
    far = 0.0
    for v in range(len(vertices)):
        x, y, z = np.float64(vertices[v, 0]), np.float64(vertices[v, 1]), np.float64(vertices[v, 2])
        for i in range(3):
            points[v, i] = matrix[i, 0] * x + matrix[i, 1] * y + matrix[i, 2] * z + matrix[i, 3]
        if far < points[v, 2] < math.inf:
            far = points[v, 2]
    near = NEAR * far
    for v in range(len(vertices)):
        depth = points[v, 2]
        column, row = points[v, 0] / depth, points[v, 1] / depth
        if near < depth < math.inf and abs(column) < math.inf and abs(row) < math.inf:
            column = min(max(column, -2.0), width + 2.0)
            row = min(max(row, -2.0), height + 2.0)
            boxes[v, 0] = math.floor(column - (1 - inset) - SLACK_PX) + 1
            boxes[v, 1] = math.floor(column - inset + SLACK_PX)
            boxes[v, 2] = math.floor(row - (1 - inset) - SLACK_PX) + 1
            boxes[v, 3] = math.floor(row - inset + SLACK_PX)
        else:
            boxes[v, :] = BEHIND
    return points, boxes, near
