"""Meshes as NumPy archives, index for index: how run folders keep theirs.

Read without NumPy's own loader, which allocates what a file declares before it looks for the data.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from pathlib import Path

import numpy as np
import torch

from dnr.errors import InputError
from dnr.files import written_whole
from dnr.geometry.meshes import Mesh

LIMIT_BYTES = 2 << 30
FARTHEST = 1e12
"""Coordinates beyond this overflow when they are multiplied."""
_COLUMNS = {"vertices": ("<f4", 3), "faces": ("<i8", 3), "uvs": ("<f4", 2)}
_COLUMNS |= {"uv_faces": ("<i8", 3), "normal_faces": ("<i8", 3)}
_MAGIC = b"\x93NUMPY\x01\x00"
_HEADER = re.compile(
    rb"\{'descr': '([<>|a-z0-9]+)', 'fortran_order': False, 'shape': \((\d{1,12}), (\d)\), \} *\n"
)


def save_npz(path: Path, mesh: Mesh) -> None:
    """Write `mesh` whole or not at all."""
    arrays = {
        name: np.ascontiguousarray(getattr(mesh, name).detach().cpu().numpy(), dtype)
        for name, (dtype, _) in _COLUMNS.items()
    }
    with written_whole(path) as beside, beside.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def load_npz(path: Path) -> Mesh:
    """The mesh as it was saved. Memory is bounded by the size of the file; nothing is unpickled."""
    if not path.is_file():
        raise InputError(f"{path} is missing; copy the whole run folder again")
    if path.stat().st_size > LIMIT_BYTES:
        raise InputError(f"{path} is larger than {LIMIT_BYTES >> 30} GiB; is it the right file?")
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if any(member.compress_type != zipfile.ZIP_STORED for member in members):
                raise ValueError("it is compressed, which this program never does")
            if sum(member.file_size for member in members) > path.stat().st_size:
                raise ValueError("it declares more than it holds")
            arrays = {name: _read(archive, name) for name in _COLUMNS}
        _check(arrays)
    # zipfile says RuntimeError for encrypted members, NotImplementedError for odd versions
    except (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile) as error:
        raise _damaged(path, error) from error
    except (zlib.error, OverflowError) as error:
        raise _damaged(path, error) from error
    return Mesh(**{name: torch.from_numpy(values) for name, values in arrays.items()})


def _read(archive: zipfile.ZipFile, name: str) -> np.ndarray:  # [N, columns]
    dtype, columns = _COLUMNS[name]
    with archive.open(f"{name}.npy") as file:
        magic = file.read(len(_MAGIC))
        header = _HEADER.fullmatch(file.read(int.from_bytes(file.read(2), "little")))
        if magic != _MAGIC or header is None:
            raise ValueError(f"{name} is not a plain array")
        data = file.read()
    rows = int(header[2])
    if header[1] != dtype.encode() or int(header[3]) != columns:
        raise ValueError(f"{name} must be {columns} columns of {dtype}")
    if len(data) != rows * columns * np.dtype(dtype).itemsize:
        raise ValueError(f"{name} declares {rows} rows but holds {len(data)} bytes")
    return np.frombuffer(data, dtype).reshape(rows, columns).copy()


def _check(arrays: dict[str, np.ndarray]) -> None:
    """Raise unless everything is finite and every index points at something."""
    faces = arrays["faces"]
    limits = {"faces": len(arrays["vertices"]), "uv_faces": len(arrays["uvs"])}
    limits["normal_faces"] = 3 * len(faces)
    for name in ("vertices", "uvs"):
        if not (np.abs(arrays[name]) < FARTHEST).all():  # also for NaN
            raise ValueError(f"{name} are not finite numbers of sensible size")
    for name, limit in limits.items():
        index = arrays[name]
        if len(index) != len(faces) or len(faces) == 0:
            raise ValueError(f"{name} has {len(index)} rows for {len(faces)} faces")
        if not 0 <= index.min() <= index.max() < limit:
            raise ValueError(f"{name} point outside of the mesh")


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError(f"{path} is damaged ({error}); restore it or train again")
