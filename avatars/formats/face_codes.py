"""Codes of single pictures, as DECA and SMIRK write them: .npz, .mat, or torch's files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import scipy.io
import torch
from torch import Tensor

from avatars.array_pickles import read_torch
from avatars.deca.networks import DecaCodes
from avatars.formats.fields import array_field, optional_field
from dnr.array_files import load_arrays, save_arrays
from dnr.errors import InputError
from dnr.files import MEBIBYTE, read_bytes, written_whole

_DECA = {"shape": "shape", "texture": "tex", "expression": "exp", "pose": "pose", "camera": "cam"}


class SmirkCodes(NamedTuple):
    """What SMIRK's encoder says; FLAME's coefficients but for the camera."""

    shape: Tensor  # [B, 300]
    expression: Tensor  # [B, 50]
    pose: Tensor  # [B, 3], rotation of the root
    jaw: Tensor  # [B, 3]
    eyelids: Tensor  # [B, 2], 0 open to 1 closed
    camera: Tensor  # [B, 3], scale and shift, as DECA's


_SMIRK = {name: f"{name}_params" for name in ("shape", "expression", "pose", "jaw")}
_SMIRK |= {"eyelids": "eyelid_params", "camera": "cam"}


def read_deca_codes(path: Path) -> tuple[DecaCodes, Tensor | None]:
    """DECA's codes (saveCoeff, or the .mat of its demo), and its detail code [B, 128] if stored."""
    content = _table(path)
    codes = {name: array_field(path, content, key, "B N") for name, key in _DECA.items()}
    light = array_field(path, content, "light", "B 9 3") if "light" in content else None
    if light is None:
        raise InputError(f"{path} has no light; it is of another kind or another version")
    batch = len(codes["shape"])
    widths = {"pose": 6, "camera": 3}
    if any(codes[name].shape[1] != width for name, width in widths.items()) or len(light) != batch:
        raise InputError(f"{path}: pose, camera or light do not have DECA's sizes")
    detail = None
    if "detail" in content:
        detail = array_field(path, content, "detail", "B 128")
    return DecaCodes(**codes, light=light), detail


def write_deca_codes(path: Path, codes: DecaCodes, detail: Tensor | None = None) -> None:
    """As .npz or, by the name of `path`, as .mat."""
    arrays = {key: getattr(codes, name).numpy() for name, key in _DECA.items()}
    arrays["light"] = codes.light.numpy()
    if detail is not None:
        arrays["detail"] = detail.numpy()
    if path.suffix == ".mat":
        with written_whole(path) as beside, beside.open("wb") as file:
            scipy.io.savemat(file, arrays)
    else:
        save_arrays(path, arrays)


def read_smirk(path: Path) -> SmirkCodes:
    """The dictionary that SMIRK's encoder returns, stored by torch.save or numpy.savez."""
    content = _table(path)
    fields = {k: array_field(path, content, v, "B N") for k, v in _SMIRK.items() if k != "eyelids"}
    batch = len(fields["shape"])
    fields["eyelids"] = optional_field(path, content, _SMIRK["eyelids"], "B 2", (batch, 2))
    widths = {"pose": 3, "jaw": 3, "camera": 3}
    if any(fields[name].shape != (batch, width) for name, width in widths.items()):
        raise InputError(f"{path}: pose, jaw or camera do not have SMIRK's sizes")
    return SmirkCodes(**fields)


def write_smirk(path: Path, codes: SmirkCodes) -> None:
    """As .npz or, for names that end in .pt, with torch.save."""
    tensors = {key: getattr(codes, name) for name, key in _SMIRK.items()}
    if path.suffix == ".pt":
        with written_whole(path) as beside:
            torch.save(tensors, beside)
    else:
        save_arrays(path, {name: value.numpy() for name, value in tensors.items()})


def _table(path: Path) -> dict[str, Any]:
    if path.suffix == ".npz":
        return dict(load_arrays(path))
    if path.suffix == ".mat":
        read_bytes(path, 256 * MEBIBYTE)  # for its checks
        try:
            return scipy.io.loadmat(path, variable_names=[*_DECA.values(), "light", "detail"])
        except (ValueError, TypeError, OSError, NotImplementedError, KeyError) as error:
            raise InputError(f"{path} is not a MATLAB file ({error}); write it again") from error
    content = read_torch(path)
    if not isinstance(content, dict):
        raise InputError(f"{path} holds no table of codes; it is of another kind")
    return content
