"""Adapter for nvdiffrast's rasteriser; all of its conventions are converted here.

nvdiffrast takes OpenGL clip coordinates (x, y, z, w) and returns rows in the order of growing y,
the weights of the first two corners, and face numbers that start at one. Its y may point down as
well as up, so ours does, and nothing has to be flipped.
"""

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from dnr.geometry.cameras import Camera
from dnr.raster.projection import homogeneous, projection
from dnr.raster.surface import Fragments

NEAREST = 1e-4
"""Near plane as a share of the farthest depth: their z-buffer has 32 bits for near to far."""


def rasterize_nvdiffrast(
    vertices: Tensor,  # [B, V, 3] on CUDA
    faces: Tensor,  # [F, 3]
    camera: Camera,
) -> Fragments:
    """Fragments of the nearest faces. Faces nearer than `NEAREST` of the farthest depth are cut."""
    import nvdiffrast.torch as nvdiffrast  # pyright: ignore[reportMissingImports]

    height, width = camera.size
    matrices = projection(camera).to(vertices.device)
    points = torch.stack([homogeneous(v, m) for v, m in zip(vertices, matrices, strict=True)])
    padded = [8 * -(-side // 8) for side in camera.size]  # needed by versions before 0.3.2
    clip = _clip_coordinates(points, padded[0], padded[1]).float().contiguous()
    triangles = faces.int().contiguous()
    rendered, _ = nvdiffrast.rasterize(
        _context(vertices.device), clip, triangles, padded, grad_db=False
    )
    rendered = rendered[:, :height, :width]
    face_id = rendered[..., 3].int() - 1
    hit = face_id >= 0
    first, second = rendered[..., 0], rendered[..., 1]
    barycentric = torch.stack([first, second, 1 - first - second], dim=-1) * hit[..., None]
    views = torch.arange(len(vertices), device=faces.device)[:, None, None, None]
    corners = points[..., 2][views, faces[face_id.clamp(min=0).long()].long()]  # [B, H, W, 3]
    depth = torch.where(hit, (barycentric * corners).sum(dim=-1), 0)
    return Fragments(face_id, barycentric.to(vertices.dtype), depth.to(vertices.dtype))


def _clip_coordinates(points: Tensor, height: int, width: int) -> Tensor:  # [B, V, 3] -> [B, V, 4]
    """OpenGL clip space, y down, with a near plane as far away as the scene allows."""
    depth = points[..., 2]
    known = torch.where(torch.isfinite(depth), depth, torch.zeros_like(depth))
    far = 1.01 * known.amax(dim=1, keepdim=True).clamp(min=1e-30)
    near = torch.maximum(0.5 * known.amin(dim=1, keepdim=True), NEAREST * far)
    z = ((far + near) * depth - 2 * far * near) / (far - near)
    x = 2 * points[..., 0] / width - depth
    y = 2 * points[..., 1] / height - depth
    return torch.stack([x, y, z, depth], dim=-1)


@lru_cache(maxsize=8)
def _context(device: torch.device) -> Any:
    """The rasteriser's own state; making one takes long, so there is one per device."""
    import nvdiffrast.torch as nvdiffrast  # pyright: ignore[reportMissingImports]

    return nvdiffrast.RasterizeCudaContext(device=device)
