"""Tensors on disk, in safetensors files: arrays only, so that opening one cannot run code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from dnr.errors import InputError
from dnr.files import DISK_TROUBLES, MEBIBYTE, written_whole

HEADER_LIMIT_BYTES = 4 * MEBIBYTE
MAX_DIMENSIONS = 16  # multiplying a million declared sizes would take minutes
PICKLE_SIGNS = (
    b"\x80",
    b"PK\x03\x04",
)  # how torch.save starts its files: a pickle, or a zip of one
ITEM_BYTES = {"BOOL": 1, "U8": 1, "I8": 1, "I16": 2, "I32": 4, "I64": 8, "F16": 2, "BF16": 2}
ITEM_BYTES |= {"F32": 4, "F64": 8}


def save_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write `tensors` to the safetensors file `path`, whole or not at all."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with written_whole(path) as beside:
        beside.touch()
        usual = beside.stat().st_mode
        try:
            save_file(plain, beside)
            beside.chmod(usual)  # the library's files are for their owner only
        except SafetensorError as error:  # a failing disk reaches us as text only
            codes = [code for code in DISK_TROUBLES if f"(os error {code})" in str(error)]
            if not codes:
                raise
            raise OSError(codes[0], str(error)) from error


def load_tensors(
    path: Path,
    expected: Mapping[str, tuple[int, ...]] | None = None,  # names and shapes; None takes any
    limit_bytes: int = 2048 * MEBIBYTE,
) -> dict[str, Tensor]:
    """The tensors in the safetensors file `path`, on the CPU.

    Everything the file declares is checked before anything is allocated, and nothing in it can be
    run. Numbers that are not finite are refused as well: a damaged asset must not render black.
    """
    shapes = _declared_shapes(path, limit_bytes)
    if expected is not None:
        _compare(path, shapes, expected)
    try:
        tensors = load_file(path, backend="pread")  # our own memory: a mapped file could change
    except (SafetensorError, OSError) as error:
        raise _damaged(path, str(error)) from error
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise _damaged(path, f"{name} holds values that are not finite")
    return tensors


def _declared_shapes(path: Path, limit_bytes: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes from the header, which must describe exactly the bytes of the file."""
    if not path.is_file():
        state = "is not a file" if path.exists() else "does not exist"
        raise InputError(f"{path} {state}; check the path")
    file_bytes = path.stat().st_size
    if file_bytes > limit_bytes:
        raise InputError(
            f"{path} has {file_bytes / MEBIBYTE:.0f} MiB, more than the {limit_bytes / MEBIBYTE:g} "
            "that such a file may have; check that it is the right one"
        )
    with path.open("rb") as file:
        start = file.read(8)
        header_bytes = int.from_bytes(start, "little")
        if not 2 <= header_bytes <= min(HEADER_LIMIT_BYTES, file_bytes - 8):
            if start.startswith(PICKLE_SIGNS):
                raise InputError(
                    f"{path} was written by torch.save; such files can run code when they are "
                    "opened, so this one was not. Convert it to safetensors where you trust it."
                )
            raise _damaged(path, "its header is not that of a safetensors file")
        header = _parsed(path, file.read(header_bytes))
    header.pop("__metadata__", None)
    return _checked(path, header, file_bytes - 8 - header_bytes)


def _parsed(path: Path, text: bytes) -> dict[str, Any]:
    try:
        header = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, "its header is not JSON") from error
    if not isinstance(header, dict):
        raise _damaged(path, "its header is not a table of tensors")
    return header


def _checked(path: Path, header: dict[str, Any], data_bytes: int) -> dict[str, tuple[int, ...]]:
    """The shapes in `header`, whose tensors must fill the `data_bytes` without gap or overlap."""
    shapes, ranges = {}, []
    for name, entry in header.items():
        match entry:
            case {"dtype": str(dtype), "shape": list(shape), "data_offsets": [int(a), int(b)]} if (
                dtype in ITEM_BYTES
                and len(shape) <= MAX_DIMENSIONS
                and all(type(size) is int and size >= 0 for size in shape)
                and prod(shape) * ITEM_BYTES[dtype] == b - a
            ):
                shapes[name] = tuple(shape)
                ranges.append((a, b))
            case _:
                raise _damaged(path, f"the entry of {name[:80]!r} in its header is not valid")
    end = 0
    for a, b in sorted(ranges):
        if a != end:
            raise _damaged(path, "its tensors overlap or leave gaps")
        end = b
    if end != data_bytes:
        raise _damaged(path, f"it should hold {end} bytes of tensors and holds {data_bytes}")
    return shapes


def _compare(
    path: Path, shapes: dict[str, tuple[int, ...]], expected: Mapping[str, tuple[int, ...]]
) -> None:
    """Raise unless both list the same names with the same shapes."""
    for name in sorted(shapes.keys() | expected.keys()):
        if name not in shapes:
            trouble = f"{name} is missing"
        elif name not in expected:
            trouble = f"{name[:80]!r} does not belong in it"
        elif shapes[name] != tuple(expected[name]):
            trouble = f"{name} has shape {list(shapes[name])} instead of {list(expected[name])}"
        else:
            continue
        raise InputError(
            f"{path} does not fit the asset it belongs to: {trouble}; take the file that was "
            "written together with it"
        )


def _damaged(path: Path, reason: str) -> InputError:
    return InputError(
        f"{path} is damaged or not a safetensors file: {reason}; restore or remake it"
    )
