"""Named arrays in NumPy archives: written whole, read without trusting what the file declares."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from dnr.errors import InputError
from dnr.files import MEBIBYTE, written_whole

LIMIT_BYTES = 2048 * MEBIBYTE


def save_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write an .npz file, whole or not at all."""
    for name, values in arrays.items():
        if values.dtype.hasobject:
            raise ValueError(f"{name} must be numbers or text, got {values.dtype}")
    with written_whole(path) as beside, beside.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def load_arrays(path: Path, limit_bytes: int = LIMIT_BYTES) -> dict[str, np.ndarray]:
    """All arrays of an .npz file. Nothing is unpickled, and no more is allocated than it holds."""
    if not path.is_file():
        raise InputError(f"there is no file {path}. Check the path.")
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if sum(member.file_size for member in members) > limit_bytes:
                raise ValueError(f"it holds more than {limit_bytes / MEBIBYTE:g} MiB")
            return {
                member.filename.removesuffix(".npy"): _read(archive, member) for member in members
            }
    # zipfile says RuntimeError for encrypted members, NotImplementedError for odd versions
    except (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(
            f"{path} is not a usable archive of arrays ({error}). It may be damaged or of another "
            "kind; make or copy it again."
        ) from error


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(member) as file:
        version = npy.read_magic(file)
        read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, is_fortran, dtype = read_header(file)
        if dtype.hasobject:
            raise ValueError(f"{member.filename} holds Python objects, which are not read")
        data = file.read(member.file_size)
    declared = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if len(data) != declared:
        raise ValueError(f"{member.filename} declares {declared} bytes and holds {len(data)}")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if is_fortran else "C").copy()
