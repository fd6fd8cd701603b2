"""Checkpoints of any training: everything needed to go on as if never stopped, in one file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor

from dnr.errors import InputError
from dnr.tensor_files import load_tensors, save_tensors
from dnr.textures.row_adam import RowAdam
from dnr.training.losses import ExtraLosses

LARGEST = 1 << 40
"""Of any number in the head of a checkpoint."""


class Resumable(Protocol):
    """What training carries from step to step."""

    others: ClassVar[str]
    """What a run with another identity may have, in words."""
    step: int
    total: int | None
    seconds: float
    history: list[dict[str, float]]

    def tensors(self) -> dict[str, Tensor]:
        """All tensors by name; copying into them restores the state."""
        ...


def save_checkpoint(path: Path, state: Resumable, identity: dict[str, Any]) -> None:
    """Everything needed to continue, in one file, whole or not at all.

    `identity` is what a run must have in common with the checkpoint to continue from it.
    """
    head = {
        "identity": identity,
        "step": state.step,
        "total": state.total,
        "seconds": state.seconds,
        "history": state.history,
    }
    text = torch.frombuffer(bytearray(json.dumps(head).encode()), dtype=torch.uint8)
    save_tensors(path, {"head": text} | state.tensors())


def load_checkpoint(path: Path, state: Resumable, identity: dict[str, Any]) -> None:
    """Bring `state`, made for the same run, to where the checkpoint was written."""
    tensors = load_tensors(path)
    try:
        head = json.loads(bytes(tensors.pop("head").tolist()))
        place = _place(head)
        fits = head["identity"] == json.loads(json.dumps(identity))  # tuples become lists
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise InputError(f"{path} is not a checkpoint; start again without --resume") from error
    own = state.tensors()
    if not fits or _kinds(own) != _kinds(tensors):
        raise InputError(
            f"{path} belongs to a run with {state.others}; use the same ones, or start again "
            "without --resume"
        )
    ages = [tensor for name, tensor in tensors.items() if name.endswith(".ages")]
    if not all(0 <= int(age.min()) <= int(age.max()) <= place["step"] for age in ages):
        raise InputError(f"{path} is damaged; start again without --resume")  # they are indices
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(tensors[name])
    for name, value in place.items():
        setattr(state, name, value)


def _place(head: dict[str, Any]) -> dict[str, Any]:
    """Where the checkpoint stands in its run; a ValueError if that makes no sense."""
    place = {name: head[name] for name in ("step", "total", "seconds", "history")}
    match place:
        case {
            "step": int(step),
            "total": int() | None as total,
            "seconds": float() as seconds,
            "history": list(rows),
        }:
            numbers = [step, total or 0, seconds, *(n for row in rows for n in dict(row).values())]
            sensible = all(isinstance(n, int | float) and abs(n) <= LARGEST for n in numbers)
            if sensible and min(step, total or 0, seconds) >= 0:
                return place
    raise ValueError("no place in a schedule")


def _kinds(tensors: Mapping[str, Tensor]) -> dict[str, tuple[torch.Size, torch.dtype]]:
    return {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()}


def row_adam_tensors(adams: list[RowAdam]) -> dict[str, Tensor]:
    """The moments and ages of all texels."""
    tensors = {}
    for number, adam in enumerate(adams):
        tensors |= {f"texture_adam.{number}.moments": adam.moments}
        tensors |= {f"texture_adam.{number}.ages": adam.ages}
    return tensors


def critic_tensors(extra: ExtraLosses | None) -> dict[str, Tensor]:
    """The critic of adversarial training and its optimiser, if there is one."""
    if extra is None or extra.critic is None or extra.critic_adam is None:
        return {}
    weights = {f"critic.{name}": value for name, value in extra.critic.state_dict().items()}
    return weights | adam_tensors("critic_adam", extra.critic_adam)


def adam_tensors(prefix: str, adam: torch.optim.Adam) -> dict[str, Tensor]:
    """The moments of every parameter. torch makes them at the first step; here their places are
    made before."""
    tensors = {}
    for number, parameter in enumerate(p for group in adam.param_groups for p in group["params"]):
        moments = adam.state[parameter]
        if not moments:
            moments["step"] = torch.zeros(())
            moments["exp_avg"] = torch.zeros_like(parameter)
            moments["exp_avg_sq"] = torch.zeros_like(parameter)
        tensors |= {f"{prefix}.{number}.{name}": value for name, value in moments.items()}
    return tensors
