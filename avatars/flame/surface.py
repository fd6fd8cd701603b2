"""What FLAME's companion files say about its surface: named parts, texture space, UVs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from avatars.array_pickles import read_pickle
from avatars.flame.model import VERTICES
from dnr.array_files import load_arrays
from dnr.errors import InputError
from dnr.files import MEBIBYTE
from dnr.geometry.mesh_files import load_mesh
from dnr.geometry.meshes import Mesh
from dnr.shapes import check_shape

TEXTURE_LIMIT_BYTES = 2048 * MEBIBYTE


@dataclass(frozen=True)
class FlameTexture:
    """A linear space of skin colours."""

    mean: Tensor  # [3, H, W]
    basis: Tensor  # [N, 3, H, W]

    def image(self, code: Tensor) -> Tensor:  # [B, at most N] -> [B, 3, H, W]
        """The skin for each code, not limited to [0, 1]."""
        check_shape("code", code, "B N")
        return self.mean + torch.tensordot(code, self.basis[: code.shape[1]], dims=1)


def load_masks(path: Path) -> dict[str, Tensor]:  # [V] bool each
    """Which vertices belong to the parts that FLAME_masks.pkl names."""
    content = read_pickle(path)
    masks = {}
    for name, ids in content.items() if isinstance(content, dict) else ():
        rows = np.asarray(ids)
        if (
            rows.ndim != 1
            or rows.dtype.kind not in "iu"
            or not np.isin(rows, range(VERTICES)).all()
        ):
            raise InputError(f"{path} is not FLAME_masks.pkl: {name} are not vertices; restore it")
        mask = torch.zeros(VERTICES, dtype=torch.bool)
        mask[torch.from_numpy(rows.astype(np.int64))] = True
        masks[str(name)] = mask
    if "face" not in masks:
        raise InputError(f"{path} is not FLAME_masks.pkl: it names no face; give that file")
    return masks


def load_texture(path: Path, components: int = 50) -> FlameTexture:
    """The first components of FLAME_texture.npz or of the albedo space converted from the BFM."""
    content = load_arrays(path, TEXTURE_LIMIT_BYTES)
    if {"mean", "tex_dir"} <= content.keys():
        mean, basis, scale = content["mean"], content["tex_dir"], 255
    elif {"MU", "PC"} <= content.keys():
        mean, basis, scale = content["MU"], content["PC"], 1
    else:
        raise InputError(f"{path} is no texture space; give FLAME_texture.npz")
    side = round((mean.size / 3) ** 0.5)
    if 3 * side * side != mean.size or basis.size % mean.size or not components:
        raise InputError(f"{path} is no texture space: its arrays do not fit; restore it")
    images = np.concatenate(
        [
            mean.reshape(1, side, side, 3),
            np.moveaxis(basis.reshape(side, side, 3, -1)[..., :components], 3, 0),
        ]
    )
    colours = torch.from_numpy(np.ascontiguousarray(images[..., ::-1], np.float32))  # BGR in files
    colours = colours.permute(0, 3, 1, 2) / scale
    return FlameTexture(colours[0], colours[1:])


def load_template(path: Path) -> Mesh:
    """The mesh in head_template.obj, for its UVs; its vertices do not lie where the model's do."""
    mesh = load_mesh(path)
    if len(mesh.vertices) != VERTICES:
        raise InputError(
            f"{path} has {len(mesh.vertices)} vertices, FLAME has {VERTICES}; give the "
            "head_template.obj that comes with DECA or VHAP"
        )
    return mesh
