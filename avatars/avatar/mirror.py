"""Where the other side of the face lies in the texture."""

from __future__ import annotations

import torch
from torch import Tensor

from avatars.heads.head import Head
from dnr.geometry.cameras import Camera
from dnr.raster.rasterize import rasterize


def mirrored_uv(head: Head, size: int) -> Tensor:  # [S, S, 2]
    """For every texel the uv of its mirror image; its own where the mesh has none."""
    face_id, weights = _texels(head, size)
    other = mirrored_corners(head)  # [F, 3, 2]
    found = (weights[..., None] * other[face_id.clamp(min=0)]).sum(dim=2)
    line = (torch.arange(size) + 0.5) / size
    v, u = torch.meshgrid(line.flip(0), line, indexing="ij")
    return torch.where((face_id >= 0)[..., None], found, torch.stack([u, v], dim=-1))


def mirrored_corners(head: Head) -> Tensor:  # [F, 3, 2]
    """The uv of the mirror image of every face's corners; their own where it has none."""
    rows = {tuple(sorted(face)): row for row, face in enumerate(head.faces.tolist())}
    mirrored = head.mirror[head.faces].tolist()
    result = head.uv[head.uv_faces].clone()
    for row, corners in enumerate(mirrored):
        twin = rows.get(tuple(sorted(corners)))
        if twin is None:
            continue
        own = head.faces[twin].tolist()
        order = [own.index(corner) for corner in corners]
        result[row] = head.uv[head.uv_faces[twin]][order]
    return result


def _texels(head: Head, size: int) -> tuple[Tensor, Tensor]:  # [S, S], [S, S, 3]
    """Which face each texel is on, and where: the texture seen straight on by a distant camera."""
    flat = torch.stack([head.uv[:, 0], 1 - head.uv[:, 1], torch.ones(len(head.uv))], dim=1)
    intrinsics = torch.tensor([[size, 0.0, 0.0], [0.0, size, 0.0], [0.0, 0.0, 1.0]])
    camera = Camera(torch.eye(4)[None], intrinsics[None], (size, size))
    fragments = rasterize(flat, head.uv_faces, camera)
    return fragments.face_id[0].long(), fragments.barycentric[0]
