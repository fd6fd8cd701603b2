"""Plain values that pickles of arrays are made of, built without the libraries that wrote them.

Arrays, sparse matrices, chumpy's wrappers and torch's tensors arrive as instructions for their own
library. Here each instruction only notes what it was given; `plain` then makes NumPy arrays of it,
after checking that the bytes are there. Nothing outside of this file is ever called.
"""

from __future__ import annotations

import io
import re
from math import prod
from typing import Any, ClassVar

import numpy as np
import torch

MAX_DEPTH = 100
_NUMBERS = re.compile(r"[<>|=]?[biufS?](1|2|4|8)?")


class Unusable(Exception):
    """The pickle asks for something that is not a plain value."""


class Dtype:
    """numpy.dtype, and the classes that stand for one of it."""

    def __init__(self, code: Any = None, *_: object) -> None:
        self.code, self.order = str(code), "="

    def __setstate__(self, state: Any) -> None:
        self.order = str(state[1])

    def numbers(self) -> np.dtype:
        """The type, when it is one of plain numbers."""
        if not _NUMBERS.fullmatch(self.code):
            raise Unusable(f"an array of type {self.code[:40]!r}")
        dtype = np.dtype(self.code)
        return dtype.newbyteorder(">") if self.order == ">" else dtype


class Array:
    """numpy.ndarray, started by `_reconstruct` and filled by its state."""

    def __init__(self, *_: object) -> None:
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def value(self, memo: dict[int, Any], depth: int) -> np.ndarray:
        match self.state:
            case (int(), tuple(shape), Dtype() as dtype, bool() | int() as by_columns, data):
                pass
            case _:
                raise Unusable("an array without content")
        _check_shape(shape)
        order = "F" if by_columns else "C"
        if isinstance(data, list):  # an array of objects
            if dtype.code not in ("O", "O8") or len(data) != prod(shape):
                raise Unusable("an array whose content does not fit its shape")
            values = np.empty(len(data), object)
            for index, item in enumerate(data):
                values[index] = plain(item, memo, depth + 1)
            return values.reshape(shape, order=order)
        return _numbers(data, dtype, shape, order)


class FromBuffer:
    """numpy's `_frombuffer`, how arrays are stored since pickle protocol 5."""

    def __init__(self, data: Any, dtype: Any, shape: Any, order: Any) -> None:
        self.fields = data, dtype, shape, order

    def value(self, memo: dict[int, Any], depth: int) -> np.ndarray:
        match self.fields:
            case (data, Dtype() as dtype, tuple(shape), "C" | "F" as order):
                return _numbers(data, dtype, shape, order)
        raise Unusable("an array without content")


class Scalar:
    """One number of NumPy's."""

    def __init__(self, dtype: Any, data: Any = b"") -> None:
        self.dtype, self.data = dtype, data

    def value(self, memo: dict[int, Any], depth: int) -> Any:
        if not isinstance(self.dtype, Dtype):
            raise Unusable("a number without a type")
        return _numbers(self.data, self.dtype, (), "C")[()]


class Recorded:
    """An object whose attributes are all that is wanted of it."""

    def __init__(self, *_: object) -> None:
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def fields(self, memo: dict[int, Any], depth: int) -> dict[str, Any]:
        state = plain(self.state, memo, depth + 1)
        if not isinstance(state, dict):
            raise Unusable(f"a {type(self).__name__.lower()} object without content")
        return state


class SparseColumns(Recorded):
    """scipy.sparse's csc_matrix; becomes a dense array."""

    def value(self, memo: dict[int, Any], depth: int) -> np.ndarray:
        state = self.fields(memo, depth)
        try:
            rows, columns = (int(size) for size in state["_shape"])
            data, row, start = (np.asarray(state[n]) for n in ("data", "indices", "indptr"))
        except (KeyError, TypeError, ValueError) as error:
            raise Unusable("a sparse matrix without content") from error
        _check_shape((rows, columns))
        whole = data.ndim == row.ndim == start.ndim == 1 and len(start) == columns + 1
        if not whole or rows * columns > 10_000_000 or len(data) != len(row):
            raise Unusable("a sparse matrix of impossible size")
        if row.dtype.kind not in "iu" or start.dtype.kind not in "iu":
            raise Unusable("a sparse matrix with indices that are not whole numbers")
        steps = np.diff(start.astype(np.int64))
        if start[0] != 0 or (steps < 0).any() or start[-1] != len(data):
            raise Unusable("a sparse matrix with columns that do not fit")
        if len(row) and not (0 <= int(row.min()) and int(row.max()) < rows):
            raise Unusable("a sparse matrix with entries outside of it")
        dense = np.zeros((rows, columns), data.dtype)
        np.add.at(dense, (row, np.repeat(np.arange(columns), steps)), data)
        return dense


class Chumpy(Recorded):
    """chumpy's arrays: values under `x`, or a selection `idxs` out of another under `a`."""

    def value(self, memo: dict[int, Any], depth: int) -> np.ndarray:
        state = self.fields(memo, depth)
        if isinstance(state.get("x"), np.ndarray):
            return state["x"]
        source, chosen = state.get("a"), state.get("idxs")
        if not (isinstance(source, np.ndarray) and isinstance(chosen, np.ndarray)):
            raise Unusable("a chumpy expression instead of its values")
        shape = tuple(int(size) for size in np.ravel(state.get("preferred_shape", chosen.shape)))
        inside = chosen.dtype.kind in "iu" and chosen.size == prod(shape)
        if not inside or (chosen.size and not 0 <= chosen.min() <= chosen.max() < source.size):
            raise Unusable("a chumpy selection that does not fit")
        return source.ravel()[chosen.ravel()].reshape(shape)


class Storage:
    """The numbers of a torch tensor: a file of torch's inside of the pickle."""

    def __init__(self, data: Any) -> None:
        if not isinstance(data, bytes):
            raise Unusable("a tensor without content")
        loaded = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        self.numbers = torch.empty(0, dtype=loaded.dtype).set_(loaded).numpy()


class StoredBeside(Storage):
    """The numbers of a torch tensor: a member of the archive that the pickle is in."""

    def __init__(self, data: bytes, kind: StorageKind) -> None:
        self.numbers = np.frombuffer(data, kind.code)


class StorageKind:
    """torch.FloatStorage and the like."""

    CODES: ClassVar = {"Float": "<f4", "Double": "<f8", "Long": "<i8", "Int": "<i4", "Short": "<i2"}
    CODES |= {"Half": "<f2", "Byte": "u1", "Char": "i1", "Bool": "?"}

    def __init__(self, name: str) -> None:
        word = name.removesuffix("Storage")
        if word not in self.CODES:
            raise Unusable(f"torch.{name}")
        self.code = self.CODES[word]


class TorchTensor:
    """torch's `_rebuild_tensor_v2`."""

    def __init__(self, storage: Any, offset: Any, size: Any, stride: Any, *_: object) -> None:
        self.fields = storage, offset, size, stride

    def value(self, memo: dict[int, Any], depth: int) -> np.ndarray:
        storage, offset, size, stride = self.fields
        if not (isinstance(storage, Storage) and isinstance(size, tuple) and type(offset) is int):
            raise Unusable("a tensor without content")
        _check_shape(size)
        by_rows = tuple(prod(size[axis + 1 :]) for axis in range(len(size)))
        inside = 0 <= offset <= offset + prod(size) <= len(storage.numbers)
        if stride != by_rows or not inside:
            raise Unusable("a tensor whose content does not fit its shape")
        return storage.numbers[offset : offset + prod(size)].reshape(size).copy()


def encode(text: Any, encoding: Any = "latin1") -> bytes:
    """What _codecs.encode does for bytes that an old protocol had to write as text."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise Unusable("text in an unusual encoding")
    return text.encode("latin1")


def reconstruct(kind: Any, *_: object) -> Any:
    """What copyreg does to make an empty object, for the classes of this file only."""
    if not (isinstance(kind, type) and issubclass(kind, Recorded)):
        raise Unusable("an object of an unknown kind")
    return kind()


def plain(value: Any, memo: dict[int, Any], depth: int = 0) -> Any:
    """`value` with every noted instruction turned into numbers, arrays, lists and tables.

    `memo` keeps the answer for each object, so that what is shared is made once.
    """
    if depth > MAX_DEPTH:
        raise Unusable("values nested too deeply")
    if value is None or isinstance(value, bool | int | float | complex | str | bytes):
        return value
    if id(value) not in memo:
        match value:
            case dict():
                made = {k: plain(v, memo, depth + 1) for k, v in value.items() if _is_name(k)}
            case list():
                made = [plain(item, memo, depth + 1) for item in value]
            case tuple():
                made = tuple(plain(item, memo, depth + 1) for item in value)
            case set() | frozenset():
                made = {plain(item, memo, depth + 1) for item in value}
            case Array() | FromBuffer() | Scalar() | SparseColumns() | Chumpy() | TorchTensor():
                made = value.value(memo, depth)
            case _:
                raise Unusable("an object of an unknown kind")
        memo[id(value)] = made
    return memo[id(value)]


def _is_name(key: Any) -> bool:
    if not isinstance(key, str | bytes | int | float | tuple):
        raise Unusable("a table whose keys are not names")
    return True


def _numbers(data: Any, dtype: Dtype, shape: Any, order: Any) -> np.ndarray:
    kind = dtype.numbers()
    _check_shape(shape)
    if isinstance(data, str):  # Python 2 wrote bytes as text
        data = data.encode("latin1")
    if not isinstance(data, bytes | bytearray) or len(data) != prod(shape) * kind.itemsize:
        raise Unusable("an array whose content does not fit its shape")
    native = np.frombuffer(data, kind).reshape(shape, order=order)
    return native.astype(kind.newbyteorder("="))


def _check_shape(shape: Any) -> None:
    if len(shape) > 8 or not all(type(size) is int and size >= 0 for size in shape):
        raise Unusable("an array of impossible shape")
