"""The rasteriser to read: plain torch, one face at a time over the whole image."""

import torch
from torch import Tensor

from dnr.geometry.cameras import Camera
from dnr.raster.projection import DEGENERATE, homogeneous, near_depth, projection
from dnr.raster.surface import Fragments


def rasterize_reference(
    vertices: Tensor,  # [B, V, 3]
    faces: Tensor,  # [F, 3]
    camera: Camera,
) -> Fragments:
    """Fragments of the nearest faces; slow, for tests and for understanding."""
    views = [
        _one_view(corners, faces, matrix, camera.size)
        for corners, matrix in zip(vertices, projection(camera).to(vertices.device), strict=True)
    ]
    return Fragments(*(torch.stack(field) for field in zip(*views, strict=True)))


def _one_view(vertices: Tensor, faces: Tensor, matrix: Tensor, size: tuple[int, int]) -> Fragments:
    points = homogeneous(vertices, matrix)
    near = near_depth(points[:, 2])
    row = torch.arange(size[0], device=vertices.device, dtype=torch.float64)[:, None] + 0.5
    column = torch.arange(size[1], device=vertices.device, dtype=torch.float64)[None, :] + 0.5
    face_id = torch.full(size, -1, dtype=torch.int32, device=vertices.device)
    barycentric = vertices.new_zeros(*size, 3)
    depth = vertices.new_zeros(size)
    nearest = torch.zeros(size, dtype=torch.float32, device=vertices.device)  # 1/z; 0 is infinity
    for face, corners in enumerate(faces.tolist()):
        edges = face_edges(points[corners])
        if edges is None:
            continue
        coefficients, determinant = edges
        inside = [(c[0] * column) + (c[1] * row + c[2]) for c in coefficients]
        total = coefficients[0] + coefficients[1] + coefficients[2]
        plane = total * (1 / determinant)
        over_depth = plane[0] * column + (plane[1] * row + plane[2])  # 1/z is linear on screen
        hit = (inside[0] >= 0) & (inside[1] >= 0) & (inside[2] >= 0) & (over_depth > 0)
        # Depths that agree to 24 bits are equal, and then the lower index stays.
        hit &= (over_depth * near < 1) & (over_depth.float() > nearest)
        nearest = torch.where(hit, over_depth.float(), nearest)
        weights = torch.stack(inside, dim=-1)
        weight_sum = weights[..., 0] + weights[..., 1] + weights[..., 2]
        face_id = torch.where(hit, face, face_id)
        over_sum = 1 / weight_sum
        found = (weights * over_sum[..., None]).to(vertices.dtype)
        barycentric = torch.where(hit[..., None], found, barycentric)
        depth = torch.where(hit, (determinant * over_sum).to(vertices.dtype), depth)
    return Fragments(face_id, barycentric, depth)


def face_edges(corners: Tensor) -> tuple[Tensor, Tensor] | None:  # [3, 3] -> [3, 3], []
    """Edge functions that are >= 0 inside, and |det|; None for degenerate faces and for NaN.

    Two faces that share an edge get exactly opposite functions for it, because a cross product
    changes only its sign when its factors are swapped. With an inclusive test nothing leaks.
    """
    a, b, c = corners
    edges = torch.stack([_cross(b, c), _cross(c, a), _cross(a, b)])
    terms = a * edges[0]
    determinant = terms[0] + terms[1] + terms[2]
    spread = a.abs() + b.abs() + c.abs()
    threshold = DEGENERATE * (spread[0] * spread[1] * spread[2])
    if not threshold < determinant.abs() < torch.inf:
        return None
    return (edges, determinant) if determinant > 0 else (-edges, -determinant)


def _cross(a: Tensor, b: Tensor) -> Tensor:
    (ax, ay, az), (bx, by, bz) = a, b
    return torch.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx])
