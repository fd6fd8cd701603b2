"""Reads arrays out of pickles without running anything that they ask for.

Head models and motion templates are published as pickles. Opening one in the usual way runs
whatever program its author wrote into it. This reader knows the few names that arrays need, builds
them itself (`pickled_values`), and refuses everything else.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import zipfile
import zlib
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from avatars import pickled_values as values
from dnr.errors import InputError
from dnr.files import MEBIBYTE, read_bytes

MAX_OPERATIONS = 5_000_000
_NUMPY = ("numpy.core.multiarray", "numpy._core.multiarray")
_KNOWN: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): values.Array,
    ("numpy", "dtype"): values.Dtype,
    ("numpy.core.numeric", "_frombuffer"): values.FromBuffer,
    ("numpy._core.numeric", "_frombuffer"): values.FromBuffer,
    ("scipy.sparse.csc", "csc_matrix"): values.SparseColumns,
    ("scipy.sparse._csc", "csc_matrix"): values.SparseColumns,
    ("copyreg", "_reconstructor"): values.reconstruct,
    ("copy_reg", "_reconstructor"): values.reconstruct,
    ("builtins", "object"): object,
    ("__builtin__", "object"): object,
    ("builtins", "set"): set,
    ("__builtin__", "set"): set,
    ("collections", "OrderedDict"): dict,
    ("_codecs", "encode"): values.encode,
    ("torch._utils", "_rebuild_tensor_v2"): values.TorchTensor,
    ("torch.storage", "_load_from_bytes"): values.Storage,
    **{(module, "_reconstruct"): values.Array for module in _NUMPY},
    **{(module, "scalar"): values.Scalar for module in _NUMPY},
}


def read_pickle(path: Path, limit_bytes: int = 256 * MEBIBYTE) -> Any:
    """Numbers, text, arrays, lists and tables out of the pickle `path`; nothing in it is run."""
    return _unpickled(path, read_bytes(path, limit_bytes))


def read_npy(path: Path, limit_bytes: int = 256 * MEBIBYTE) -> Any:
    """The array in the .npy file `path`, or the one value inside of an array of objects."""
    data = read_bytes(path, limit_bytes)
    file = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(file)
        if version not in ((1, 0), (2, 0)):
            raise ValueError("an unknown version")
        read_header = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = read_header(file)
        if not dtype.hasobject:
            if prod(shape) * dtype.itemsize != len(data) - file.tell():
                raise ValueError("its content does not fit its shape")
            return np.load(io.BytesIO(data), allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise InputError(f"{path} is not a NumPy array: {error}; restore the file") from error
    array = _unpickled(path, data[file.tell() :])
    if isinstance(array, np.ndarray) and array.dtype == object and array.size == 1:
        return array.item()
    return array


def read_torch(path: Path, limit_bytes: int = 256 * MEBIBYTE) -> Any:
    """What torch.save wrote into `path`, tensors as arrays; NumPy's arrays are read as well."""
    data = read_bytes(path, limit_bytes)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = [member.filename for member in archive.infolist()]
            if sum(member.file_size for member in archive.infolist()) > limit_bytes:
                raise InputError(f"{path} unpacks to more than such a file may; check the file")
            (program,) = [name for name in names if name.endswith("/data.pkl")]
            folder = program.removesuffix("data.pkl") + "data/"
            members = {name: archive.read(name) for name in names if name.startswith(folder)}
            stored = {name.removeprefix(folder): numbers for name, numbers in members.items()}
            return _unpickled(path, archive.read(program), stored)
    # zipfile says RuntimeError for encrypted members, NotImplementedError for odd versions
    except (OSError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(
            f"{path} is not a file of torch's, or is damaged ({error}); restore it"
        ) from error


class _Reader(pickle.Unpickler):
    stored: Mapping[str, bytes]

    def persistent_load(self, pid: Any) -> Any:
        match pid:
            case ("storage", values.StorageKind() as kind, str(key), _, _) if key in self.stored:
                return values.StoredBeside(self.stored[key], kind)
        raise values.Unusable("something outside of the file")

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name.endswith("Storage"):
            return values.StorageKind(name)
        if (module, name) in _KNOWN:
            return _KNOWN[module, name]
        if module == "chumpy" or module.startswith("chumpy."):
            return values.Chumpy
        if module == "numpy.dtypes" or (module == "numpy" and name.endswith("DType")):
            return values.Dtype
        raise values.Unusable(f"{module}.{name}")


def _unpickled(path: Path, data: bytes, stored: Mapping[str, bytes] | None = None) -> Any:
    try:
        _check_operations(data)
        reader = _Reader(io.BytesIO(data), encoding="latin1")
        reader.stored = stored or {}
        return values.plain(reader.load(), {})
    except values.Unusable as error:
        raise InputError(
            f"{path} was not opened: it asks for {error}, and a file of arrays never needs that. "
            "Take the file from its publisher again."
        ) from error
    # Whatever a damaged pickle makes of the stack; nothing but this file's classes can be called.
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, KeyError, IndexError) as error:
        raise _damaged(path, error) from error
    except (AttributeError, OverflowError, RecursionError, MemoryError, RuntimeError) as error:
        raise _damaged(path, error) from error


def _check_operations(data: bytes) -> None:
    """Raise when the pickle is cut off, endless, or numbers its notes so that memory runs out."""
    count = 0
    for operation, argument, _ in pickletools.genops(data):
        count += 1
        if count > MAX_OPERATIONS:
            raise values.Unusable("millions of separate values")
        if "PUT" in operation.name and isinstance(argument, int) and argument > len(data):
            raise values.Unusable("more notes than it has bytes")


def _damaged(path: Path, error: BaseException) -> InputError:
    reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
    return InputError(f"{path} is damaged or not a pickle of arrays: {reason}; restore the file")
