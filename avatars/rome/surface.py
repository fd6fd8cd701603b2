"""ROME's mesh: FLAME with a closed mouth, its texture coordinates, and which vertices move."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from avatars import model_files as files
from avatars.array_pickles import read_pickle
from avatars.flame.model import VERTICES
from avatars.flame.surface import load_template
from avatars.orthographic import uv_fragments
from avatars.rome.layers import harmonics
from avatars.weight_files import read_weights
from dnr.errors import InputError
from dnr.files import read_bytes
from dnr.raster.surface import Fragments

UV_SIZE = 256


@dataclass(frozen=True)
class RomeSurface:
    """Everything about the mesh that does not depend on whose it is."""

    faces: Tensor  # [F, 3] int64
    uv: Tensor  # [T, 2]
    uv_faces: Tensor  # [F, 3] int64
    texels: Fragments  # [1, 256, 256], which face lies under a texel
    vertex_lookup: Tensor  # [V, 2] in [-1, 1], row downwards: a vertex's own place in the texture
    vertex_code: Tensor  # [V, 26], that place, encoded for the offset network
    movable: Tensor  # [V] bool: hair and neck

    def to(self, device: torch.device) -> RomeSurface:
        """The same on `device`."""
        return RomeSurface(
            self.faces.to(device),
            self.uv.to(device),
            self.uv_faces.to(device),
            Fragments(*(field.to(device) for field in self.texels)),
            self.vertex_lookup.to(device),
            self.vertex_code.to(device),
            self.movable.to(device),
        )


def load_rome_surface(folder: Path) -> RomeSurface:
    """From the data files of a ROME checkout somewhere in `folder`, and FLAME's template."""
    uv = load_template(files.need_file(files.TEMPLATE, folder)).uvs
    faces = _indices(folder, files.ROME_FACES, VERTICES)
    uv_faces = _indices(folder, files.ROME_UV_FACES, len(uv))
    place = files.need_file(files.ROME_VERTEX_UV, folder)
    lookup = read_weights(place)
    if not isinstance(lookup, Tensor) or lookup.shape[:-1] != (1, VERTICES):
        raise InputError(f"{place} does not hold one place for each vertex; restore it")
    if uv_faces.shape != faces.shape:
        raise InputError(f"{place.parent}: the faces and their uvs do not fit; restore the files")
    movable = torch.zeros(VERTICES, dtype=torch.bool)
    movable[_vertices(folder, files.ROME_HAIR)] = True
    movable[_vertices(folder, files.ROME_NECK)] = True
    movable[fixed_vertices(files.need_file(files.ROME_STILL, folder))] = False
    return rome_surface(faces, uv, uv_faces, lookup[0, :, :2].float(), movable)


def rome_surface(
    faces: Tensor, uv: Tensor, uv_faces: Tensor, vertex_lookup: Tensor, movable: Tensor
) -> RomeSurface:
    """The parts that follow from those given; see RomeSurface for the shapes."""
    texels = uv_fragments(uv, uv_faces, (UV_SIZE, UV_SIZE))
    # As published the place is read out of a grid, which pulls it to zero at the very border.
    steps = torch.linspace(-1, 1, UV_SIZE)
    row, column = torch.meshgrid(steps, steps, indexing="ij")
    grid = torch.stack([column, row])[None]
    code = functional.grid_sample(grid, vertex_lookup[None, :, None], align_corners=False)
    code = harmonics(code[0, :, :, 0].T, dim=1)
    return RomeSurface(faces, uv, uv_faces, texels, vertex_lookup, code, movable)


def fixed_vertices(source: Path) -> Tensor:  # [N] int64
    """Vertices that never move, out of the two lists in ROME's program, which is not run."""
    text = read_bytes(source, 1 << 20).decode("utf-8", errors="replace")
    lists: dict[str, list[int]] = {}
    try:
        for node in ast.walk(ast.parse(text)):
            match node:
                case ast.Assign(targets=[ast.Name(id=name)], value=ast.List() as value):
                    lists[name] = ast.literal_eval(value)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise InputError(f"{source} is not ROME's parametric_avatar.py: {error}") from error
    if not {"hard_not_deform_list", "exclude_list"} <= lists.keys():
        raise InputError(f"{source} is not ROME's parametric_avatar.py; give that of its checkout")
    fixed = sorted(set(lists["hard_not_deform_list"]) - set(lists["exclude_list"]))
    return _checked(source, fixed, VERTICES)


def _vertices(folder: Path, wanted: files.ModelFile) -> Tensor:
    path = files.need_file(wanted, folder)
    return _checked(path, read_pickle(path), VERTICES)


def _indices(folder: Path, wanted: files.ModelFile, limit: int) -> Tensor:  # [F, 3]
    path = files.need_file(wanted, folder)
    index = read_weights(path)
    if not isinstance(index, Tensor) or index.ndim != 3 or index.shape[::2] != (1, 3):
        raise InputError(f"{path} does not hold triangles; restore it")
    return _checked(path, index[0].numpy(), limit)


def _checked(path: Path, values: Any, limit: int) -> Tensor:
    index = np.asarray(values)
    if (
        index.dtype.kind not in "iu"
        or index.size == 0
        or not 0 <= index.min() <= index.max() < limit
    ):
        raise InputError(f"{path} does not hold indices below {limit}; restore it")
    return torch.from_numpy(index.astype(np.int64))
