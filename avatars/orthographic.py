"""Meshes seen from infinitely far: texture space, and weak-perspective cameras.

The rasterizer knows pinholes only. Here every vertex is put on the ray of its pixel, at a depth
that keeps the order; what that does to weights inside of faces is undone afterwards.
"""

import torch
from torch import Tensor

from dnr.geometry.cameras import Camera
from dnr.raster.rasterize import Backend, rasterize
from dnr.raster.surface import Fragments
from dnr.shapes import check_shape


def rasterize_flat(
    points: Tensor,  # [B, V, 3], column and row in pixels, and a depth that grows away
    faces: Tensor,  # [F, 3] int64
    size: tuple[int, int],
    backend: Backend = "auto",
) -> Fragments:
    """The nearest face behind every pixel centre, with weights that are linear on screen.

    The depth of the answer only orders surfaces; it is not in the units of `points`.
    """
    check_shape("points", points, "B V 3")
    depth = points.detach()[..., 2]
    nearest, farthest = depth.amin(), depth.amax()
    # In [1, 2]: any positive depths would do, and close ones lose least to rounding.
    depth = 1 + (depth - nearest) / (farthest - nearest).clamp(min=1e-12)
    on_rays = torch.cat([points.detach()[..., :2], torch.ones_like(depth)[..., None]], dim=-1)
    world_to_camera = torch.eye(4).to(points).repeat(len(points), 1, 1)
    camera = Camera(world_to_camera, world_to_camera[:, :3, :3], size)
    seen = rasterize(on_rays * depth[..., None], faces, camera, backend)
    batch = torch.arange(len(points), device=points.device)[:, None, None, None]
    corner_depth = depth[batch, faces[seen.face_id.long().clamp(min=0)]]  # [B, H, W, 3]
    weights = seen.barycentric * corner_depth
    total = weights.sum(dim=-1, keepdim=True)
    return Fragments(seen.face_id, weights / torch.where(total == 0, 1, total), seen.depth)


def interpolate_flat(
    fragments: Fragments,
    values: Tensor,  # [V, C] or [B, V, C]
    faces: Tensor,  # [F, 3], rows of `values`
) -> Tensor:  # [B, H, W, C]
    """Values of vertices at every pixel; zero where nothing is seen. Differentiable in them."""
    face = fragments.face_id.long()
    rows = faces[face.clamp(min=0)]  # [B, H, W, 3]
    if values.ndim == 3:
        batch = torch.arange(len(face), device=face.device)[:, None, None, None]
        corners = values[batch, rows]
    else:
        corners = values[rows]
    weights = fragments.barycentric.to(values) * (face >= 0)[..., None]
    return (corners * weights[..., None]).sum(dim=-2)


def uv_fragments(uv: Tensor, uv_faces: Tensor, size: tuple[int, int]) -> Fragments:
    """Which face lies under every texel of the UV square, row 0 on top; batch of one."""
    height, width = size
    column, row = uv[:, 0] * width, (1 - uv[:, 1]) * height
    points = torch.stack([column, row, torch.zeros_like(row)], dim=-1)
    return rasterize_flat(points[None], uv_faces, size)
