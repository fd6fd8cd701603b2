"""Files in the layouts that FLAME's publishers use, filled with random numbers."""

from __future__ import annotations

import pickle
import struct
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import scipy.sparse

VERTICES, FACES = 5023, 9976


def flame_arrays(rng: np.random.Generator) -> dict[str, Any]:
    """A model whose bases are noise, small enough to stay near the template."""
    template = rng.normal(0, 0.1, (VERTICES, 3))
    regressor = np.zeros((5, VERTICES))
    for joint in range(5):
        regressor[joint, rng.choice(VERTICES, 8, replace=False)] = 1 / 8
    weights = rng.random((VERTICES, 5)) ** 4
    return {
        "v_template": template,
        "f": rng.integers(0, VERTICES, (FACES, 3)).astype(np.uint32),
        "shapedirs": rng.normal(0, 1e-3, (VERTICES, 3, 400)),
        "posedirs": rng.normal(0, 1e-3, (VERTICES, 3, 36)),
        "J_regressor": scipy.sparse.csc_matrix(regressor),
        "weights": weights / weights.sum(axis=1, keepdims=True),
        "kintree_table": np.array([[4294967295, 0, 1, 1, 1], range(5)], np.uint32),
        "J": regressor @ template,
        "bs_style": "lrotmin",
    }


def write_flame(path: Path, arrays: dict[str, Any], chumpy: tuple[str, ...] = ()) -> None:
    """Pickle `arrays` in the way of Python 2; those named in `chumpy` inside of its wrapper."""
    with pytest.MonkeyPatch.context() as patch:
        wrap = _fake_chumpy(patch)
        content = {k: wrap(v) if k in chumpy else v for k, v in arrays.items()}
        with path.open("wb") as file:
            _Python2(file, protocol=2).dump(content)


def _fake_chumpy(patch: pytest.MonkeyPatch) -> Any:
    package, module = ModuleType("chumpy"), ModuleType("chumpy.ch")
    kind = type("Ch", (), {"__module__": "chumpy.ch", "__qualname__": "Ch"})
    module.Ch = kind  # type: ignore[attr-defined]
    package.ch = module  # type: ignore[attr-defined]
    patch.setitem(sys.modules, "chumpy", package)
    patch.setitem(sys.modules, "chumpy.ch", module)

    def wrap(values: np.ndarray) -> Any:
        wrapped = kind()
        vars(wrapped).update(x=values, _dirty_vars=set(), _itr=None)
        return wrapped

    return wrap


_PickleWriter: Any = pickle._Pickler  # type: ignore[attr-defined]


class _Python2(_PickleWriter):
    """Writes bytes as the 8-bit text that Python 2 had."""

    def save_bytes(self, data: bytes) -> None:
        self.write(pickle.BINSTRING + struct.pack("<i", len(data)) + data)
        self.memoize(data)


_Python2.dispatch = _PickleWriter.dispatch | {bytes: _Python2.save_bytes}


def landmark_table(rng: np.random.Generator) -> dict[str, Any]:
    """What landmark_embedding.npy of DECA holds; its contours are torch tensors."""
    import torch

    def points(*shape: int) -> tuple[np.ndarray, np.ndarray]:
        weights = rng.random((*shape, 3))
        return rng.integers(0, FACES, shape), weights / weights.sum(axis=-1, keepdims=True)

    static, contour, full = points(51), points(79, 17), points(1, 68)
    return {
        "static_lmk_faces_idx": static[0],
        "static_lmk_bary_coords": static[1],
        "dynamic_lmk_faces_idx": torch.from_numpy(contour[0]),
        "dynamic_lmk_bary_coords": torch.from_numpy(contour[1]),
        "full_lmk_faces_idx": full[0],
        "full_lmk_bary_coords": full[1],
    }
