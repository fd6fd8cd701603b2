"""Meshes as OBJ, PLY and GLB files, checked before they come in."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import torch

from dnr.errors import InputError
from dnr.files import written_whole
from dnr.geometry.glb_files import glb_bytes, read_glb
from dnr.geometry.mesh_arrays import MeshArrays, points_of
from dnr.geometry.meshes import Mesh
from dnr.geometry.obj_files import obj_text, read_obj
from dnr.geometry.ply_files import ply_bytes, read_ply
from dnr.geometry.smoothing_groups import make_mesh

SUFFIXES = (".obj", ".ply", ".glb")
MOST_BYTES = 2 << 30
MOST_FACES = 20_000_000
LARGEST_COORDINATE = 1e9  # areas and their squares must stay finite in float32
_MALFORMED = (ValueError, LookupError, TypeError, AttributeError, OverflowError, struct.error)


def load_mesh(path: Path, crease_deg: float = 45.0) -> Mesh:
    """The triangles of an OBJ, PLY or GLB file, float32 on the CPU, in the file's own frame.

    Uvs may be missing (`uvs` empty or -1 in `uv_faces`), outside of [0, 1] or overlap: see
    `unwrap`. Normals in the file are ignored; edges folded by `crease_deg` or more stay hard.
    """
    suffix = _known_suffix(path)
    if not path.is_file():
        raise InputError(f"there is no mesh at {path}. Check the path.")
    if path.stat().st_size > MOST_BYTES:
        raise InputError(f"{path} is larger than 2 GiB. Simplify the mesh first.")
    try:
        with np.errstate(invalid="ignore"):  # NaNs are found when the numbers are checked
            if suffix == ".obj":
                arrays = read_obj(path, MOST_FACES)
            elif suffix == ".ply":
                arrays = read_ply(path.read_bytes())
            else:
                arrays = read_glb(path.read_bytes(), MOST_FACES)
    except (*_MALFORMED, RecursionError) as error:  # RecursionError: JSON nested without end
        reason = " ".join(str(error).split())[:120]  # it may quote a whole binary file
        raise InputError(
            f"{path} cannot be read as {suffix[1:].upper()}: {reason}. Export the mesh again."
        ) from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    return _checked(path, arrays, crease_deg)


def save_mesh(path: Path, mesh: Mesh) -> None:
    """Write `mesh` whole or not at all, in the format that the suffix of `path` names.

    OBJ keeps vertices, uvs and faces as they are. PLY and GLB store one point per corner with its
    own uv or normal; `load_mesh` welds them again.
    """
    suffix = _known_suffix(path)
    with written_whole(path) as beside:
        if suffix == ".obj":
            beside.write_text(obj_text(mesh), encoding="ascii")
        else:
            beside.write_bytes((ply_bytes if suffix == ".ply" else glb_bytes)(points_of(mesh)))


def _known_suffix(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(f"{path} is no mesh file that is known here. Use .obj, .ply or .glb.")
    return suffix


def _checked(path: Path, arrays: MeshArrays, crease_deg: float) -> Mesh:
    """The arrays as a mesh, if they make one."""
    vertices, faces, uvs, uv_faces = arrays
    if not 0 < len(faces) <= MOST_FACES:
        raise InputError(
            f"{path} has {len(faces)} triangles, but 1 to {MOST_FACES} can be used. "
            "Export the surface, simplified if need be."
        )
    if faces.min() < 0 or faces.max() >= len(vertices):
        raise InputError(
            f"{path} has a face that uses a vertex which is not there (it has {len(vertices)}). "
            "The file may be cut short; export the mesh again."
        )
    if uv_faces.min() < -1 or uv_faces.max() >= len(uvs):
        raise InputError(
            f"{path} has a face that uses a uv which is not there (it has {len(uvs)}). "
            "The file may be cut short; export the mesh again."
        )
    bad = ~(np.abs(vertices) <= LARGEST_COORDINATE).all(axis=1)  # also true for NaN
    if bad.any():
        raise InputError(
            f"{path} has {bad.sum()} vertices that are not finite or too far away, the first is "
            f"number {bad.argmax() + 1}. Repair the mesh."
        )
    if (np.ptp(vertices[faces.reshape(-1)], axis=0) == 0).sum() > 1:
        raise InputError(
            f"{path} has no surface: its vertices lie on a point or a line. Repair it."
        )
    return make_mesh(
        torch.tensor(vertices, dtype=torch.float32),
        torch.tensor(faces, dtype=torch.int64),
        torch.tensor(uvs, dtype=torch.float32),
        torch.tensor(uv_faces, dtype=torch.int64),
        crease_deg,
    )
