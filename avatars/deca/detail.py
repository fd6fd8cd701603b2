"""Wrinkles: a displacement map over UV space becomes normals, and a shaded picture of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from avatars.array_pickles import read_npy
from avatars.deca.networks import UV_SIZE
from avatars.heads.head import vertex_normals
from avatars.orthographic import interpolate_flat, uv_fragments
from dnr.capture.stored_images import read_mask
from dnr.errors import InputError
from dnr.geometry.meshes import Mesh
from dnr.raster.surface import Fragments
from dnr.shapes import check_shape


@dataclass(frozen=True)
class DetailSpace:
    """FLAME's UV square at the decoder's resolution."""

    texels: Fragments  # [1, 256, 256]
    faces: Tensor  # [F, 3] int64
    mask: Tensor  # [256, 256], 1 where wrinkles belong: the face without the eyes
    fixed: Tensor  # [256, 256], metres, a correction that all faces share


def load_detail_space(template: Mesh, mask: Path, fixed: Path) -> DetailSpace:
    """From head_template.obj, uv_face_eye_mask.png and fixed_displacement_256.npy."""
    size = (UV_SIZE, UV_SIZE)
    picture = torch.from_numpy(read_mask(mask)).float() / 255
    smaller = torch.nn.functional.interpolate(picture[None, None], size)[0, 0]
    displacement = torch.as_tensor(read_npy(fixed), dtype=torch.float32)
    if displacement.shape != size:
        raise InputError(
            f"{fixed} is {list(displacement.shape)} instead of {list(size)}; give the "
            "fixed_displacement_256.npy that comes with DECA"
        )
    texels = uv_fragments(template.uvs, template.uv_faces, size)
    return DetailSpace(texels, template.faces, smaller, displacement)


def detail_normals(
    space: DetailSpace,
    displacement: Tensor,  # [B, 1, 256, 256], metres
    vertices: Tensor,  # [B, V, 3]
) -> Tensor:  # [B, 256, 256, 3]
    """Unit normals of the displaced surface in UV space; those of the mesh outside of the mask."""
    check_shape("displacement", displacement, f"{len(vertices)} 1 {UV_SIZE} {UV_SIZE}")
    texels = Fragments(*(field.expand(len(vertices), *field.shape[1:]) for field in space.texels))
    coarse = vertex_normals(vertices, space.faces)
    position = interpolate_flat(texels, vertices, space.faces)
    normal = interpolate_flat(texels, coarse, space.faces)
    height = displacement[:, 0] * space.mask + space.fixed
    moved = position + height[..., None] * normal
    fine = vertex_normals(moved.flatten(1, 2), _grid_faces(UV_SIZE).to(moved.device))
    mask = space.mask[..., None]
    return fine.reshape(moved.shape) * mask + normal * (1 - mask)


@lru_cache(maxsize=1)
def _grid_faces(side: int) -> Tensor:  # [2 (side - 1) ** 2, 3]
    """Two triangles in each cell of a square of points, turned so that normals point outwards."""
    index = torch.arange(side * side).reshape(side, side)
    a, b = index[:-1, :-1].reshape(-1), index[:-1, 1:].reshape(-1)
    c, d = index[1:, :-1].reshape(-1), index[1:, 1:].reshape(-1)
    return torch.cat([torch.stack([a, c, b], dim=1), torch.stack([b, c, d], dim=1)])
