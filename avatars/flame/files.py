"""FLAME's model files: read once without running them, then kept as plain arrays."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import torch

from avatars.array_pickles import read_pickle
from avatars.flame.model import EXPRESSIONS, FACES, JOINTS, PARENTS, SHAPES, VERTICES, Flame
from dnr.array_files import load_arrays, save_arrays
from dnr.errors import InputError
from dnr.files import MEBIBYTE, read_bytes

LIMIT_BYTES = 512 * MEBIBYTE
_SHAPES = {
    "v_template": (VERTICES, 3),
    "f": (FACES, 3),
    "shapedirs": (VERTICES, 3, SHAPES + EXPRESSIONS),
    "posedirs": (VERTICES, 3, 9 * (JOINTS - 1)),
    "J_regressor": (JOINTS, VERTICES),
    "weights": (VERTICES, JOINTS),
    "kintree_table": (2, JOINTS),
}
_FORMAT = 1


def load_flame(path: Path, cache: Path | None = None) -> Flame:
    """The model in the user's .pkl, or in an .npz that `convert_flame` made of one.

    With a `cache` folder a pickle is converted once; a file with other content is converted anew.
    """
    if path.suffix == ".npz":
        return _from_arrays(path, load_arrays(path, LIMIT_BYTES))
    data = read_bytes(path, LIMIT_BYTES)
    digest = hashlib.sha256(data).hexdigest()
    kept = None if cache is None else cache / f"flame-{digest[:16]}.npz"
    if kept is not None and kept.is_file():
        arrays = load_arrays(kept, LIMIT_BYTES)
        if str(arrays.get("source_sha256")) == digest:
            return _from_arrays(kept, arrays)
    arrays = _pickle_arrays(path)
    if kept is not None:
        _save(kept, arrays, digest)
    return _from_arrays(path, arrays)


def convert_flame(path: Path, out: Path) -> str:
    """The SHA-256 of the .pkl `path`, whose arrays are now in the .npz `out`."""
    digest = hashlib.sha256(read_bytes(path, LIMIT_BYTES)).hexdigest()
    arrays = _pickle_arrays(path)
    _from_arrays(path, arrays)
    _save(out, arrays, digest)
    return digest


def _pickle_arrays(path: Path) -> dict[str, np.ndarray]:
    content = read_pickle(path, LIMIT_BYTES)
    if not isinstance(content, dict):
        raise _different(path, "it holds no table of arrays")
    return {name: np.asarray(content[name]) for name in _SHAPES if name in content}


def _save(path: Path, arrays: dict[str, np.ndarray], digest: str) -> None:
    save_arrays(path, arrays | {"source_sha256": np.array(digest), "format": np.array(_FORMAT)})


def _from_arrays(path: Path, arrays: dict[str, Any]) -> Flame:
    """The model, after every shape, index and number was looked at."""
    for name, shape in _SHAPES.items():
        if name not in arrays:
            raise _different(path, f"{name} is missing")
        found = arrays[name]
        if found.shape != shape:
            raise _different(path, f"{name} is {list(found.shape)} instead of {list(shape)}")
        if found.dtype.kind not in "fiu" or not np.isfinite(found.astype(np.float64)).all():
            raise _different(path, f"{name} holds values that are not finite numbers")
    parents = arrays["kintree_table"][0].astype(np.int64)[1:]
    if tuple(parents) != PARENTS[1:]:
        raise _different(path, f"its joints hang on {parents.tolist()}")
    faces = arrays["f"].astype(np.int64)
    if not 0 <= faces.min() <= faces.max() < VERTICES:
        raise _different(path, "its faces point outside of the mesh")
    basis = _tensor(arrays["shapedirs"]).permute(2, 0, 1).contiguous()
    return Flame(
        _tensor(arrays["v_template"]),
        torch.from_numpy(faces),
        basis[:SHAPES],
        basis[SHAPES:],
        _tensor(arrays["posedirs"]).permute(2, 0, 1).contiguous(),
        _tensor(arrays["J_regressor"]),
        _tensor(arrays["weights"]),
    )


def _tensor(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, np.float64))


def _different(path: Path, reason: str) -> InputError:
    return InputError(
        f"{path} is not a FLAME model: {reason}. Give generic_model.pkl of FLAME 2020, "
        "flame2023.pkl or flame2023_Open.pkl, from flame.is.tue.mpg.de."
    )
