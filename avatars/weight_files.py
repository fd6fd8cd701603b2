"""Published weights: torch.save's files, opened as plain tensors and checked name by name."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dnr.errors import InputError
from dnr.files import MEBIBYTE

LIMIT_BYTES = 4096 * MEBIBYTE


def read_weights(path: Path) -> Any:
    """What torch.save wrote into `path`, on the CPU; only tensors and plain values are accepted."""
    if not path.is_file():
        raise InputError(f"{path} does not exist; `dnr doctor` says where to get it")
    if path.stat().st_size > LIMIT_BYTES:
        raise InputError(f"{path} is larger than {LIMIT_BYTES >> 30} GiB; is it the right file?")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path} was not opened: it holds more than weights, or is damaged "
            f"({_first_line(error)}); download it again"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, AttributeError) as error:
        raise InputError(
            f"{path} is cut off or damaged ({_first_line(error)}); download it again"
        ) from error


def load_strictly(
    path: Path,  # for messages
    network: nn.Module,
    weights: Any,
    part: str,  # what the file calls it
) -> None:
    """Put `weights` into `network`: the same names, the same shapes, finite numbers, or refuse.

    Published loaders skip what does not fit and run on with random numbers; the pictures are then
    garbage and nobody says why.
    """
    if not isinstance(weights, Mapping):
        raise InputError(f"{path} has no {part}; it is not the file that this needs")
    expected = network.state_dict()
    for name in sorted(expected.keys() | weights.keys(), key=str):
        if name not in weights:
            trouble = f"{name} is missing"
        elif name not in expected:
            trouble = f"{str(name)[:80]} does not belong there"
        elif not isinstance(weights[name], Tensor):
            trouble = f"{name} is not a tensor"
        elif weights[name].shape != expected[name].shape:
            trouble = f"{name} is {list(weights[name].shape)}, not {list(expected[name].shape)}"
        elif weights[name].is_floating_point() and not torch.isfinite(weights[name]).all():
            trouble = f"{name} holds values that are not finite"
        else:
            continue
        raise InputError(f"{path} does not fit: in {part}, {trouble}; give the published file")
    network.load_state_dict(dict(weights))


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120]
