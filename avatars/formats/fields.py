"""Named arrays out of other programs' files, checked before they come in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dnr.errors import InputError


def array_field(
    path: Path,  # for messages
    content: Any,  # the table that the file holds
    name: str,
    spec: str,  # as for check_shape
) -> Tensor:  # float32
    """The numbers called `name`, with leading axes of length one dropped where `spec` has fewer."""
    if not isinstance(content, Mapping) or name not in content:
        raise InputError(f"{path} has no {name}; it is of another kind or another version")
    try:
        values = np.asarray(content[name], np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: {name} are not numbers; write the file again") from error
    dims = spec.split()
    while values.ndim > len(dims) and values.shape[0] == 1:
        values = values[0]
    fits = values.ndim == len(dims) and all(
        not dim.isdigit() or int(dim) == size for dim, size in zip(dims, values.shape, strict=True)
    )
    if not fits:
        raise InputError(
            f"{path}: {name} is {list(values.shape)}, where [{', '.join(dims)}] is expected"
        )
    if not np.isfinite(values).all():
        raise InputError(f"{path}: {name} holds values that are not finite; track the clip again")
    return torch.from_numpy(values.astype(np.float32))


def optional_field(path: Path, content: Any, name: str, spec: str, size: tuple[int, ...]) -> Tensor:
    """The same, or zeros of `size` where the file has none."""
    if not isinstance(content, Mapping) or content.get(name) is None:
        return torch.zeros(size)
    return array_field(path, content, name, spec)


def same_length(path: Path, **tracks: Tensor) -> None:
    """Raise unless all have one row for each frame."""
    lengths = {name: len(track) for name, track in tracks.items()}
    if len(set(lengths.values())) != 1 or 0 in lengths.values():
        words = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise InputError(f"{path}: numbers of frames differ ({words}); track the clip again")
