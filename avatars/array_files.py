"""Named arrays as NumPy archives (.npz), without what makes strangers' archives dangerous.

NumPy's own loader allocates what a file declares before it looks for the data, and can unpickle.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy

from dnr.errors import InputError
from dnr.files import written_whole

LIMIT_BYTES = 2 << 30
"""Of all arrays of a file together, unpacked."""
_PLAIN = "biufcSU"
"""Kinds of numbers and texts; everything else would need unpickling."""


def save_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write `arrays` to the .npz file `path`, whole or not at all."""
    with written_whole(path) as beside, beside.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an .npz file. Sizes are checked before memory is taken; nothing is run."""
    if not path.is_file():
        raise InputError(f"there is no file {path}; check the path")
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if sum(member.file_size for member in members) > LIMIT_BYTES:
                raise ValueError(f"it unpacks to more than {LIMIT_BYTES >> 30} GiB")
            arrays = {}
            for member in members:
                with archive.open(member) as file:
                    arrays[member.filename.removesuffix(".npy")] = _array(file, member.file_size)
    # zipfile says RuntimeError for encrypted members, NotImplementedError for odd versions
    except (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(
            f"{path} is not an archive of plain arrays ({error}); make or copy it again"
        ) from error
    return arrays


def _array(file: IO[bytes], file_bytes: int) -> np.ndarray:
    version = npy.read_magic(file)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran, dtype = read(file)
    if dtype.kind not in _PLAIN:
        raise ValueError(f"it holds {dtype} values")
    if prod(shape) * dtype.itemsize != file_bytes - file.tell():
        raise ValueError("an array declares another size than it has")
    values = np.frombuffer(file.read(), dtype)
    return values.reshape(shape, order="F" if fortran else "C").copy()
