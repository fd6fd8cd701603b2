"""Checkpoints of an avatar in training: everything needed to go on as if never stopped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from avatars.training.state import AvatarState
from dnr.errors import InputError
from dnr.tensor_files import load_tensors, save_tensors
from dnr.training.state import adam_tensors, checked_place


def save_checkpoint(path: Path, state: AvatarState, identity: dict[str, Any]) -> None:
    """Everything in one file, whole or not at all. `identity`: what a continuation must share."""
    head = {
        "identity": identity,
        "step": state.step,
        "total": state.total,
        "seconds": state.seconds,
        "history": state.history,
    }
    text = torch.frombuffer(bytearray(json.dumps(head).encode()), dtype=torch.uint8)
    save_tensors(path, {"head": text} | _tensors(state))


def load_checkpoint(path: Path, state: AvatarState, identity: dict[str, Any]) -> None:
    """Bring `state`, made by `new_state` for the same run, to where the checkpoint was written."""
    tensors = load_tensors(path)
    try:
        head = json.loads(bytes(tensors.pop("head").tolist()))
        place = checked_place(head)
        fits = head["identity"] == json.loads(json.dumps(identity))
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise InputError(f"{path} is not a checkpoint; start again without --resume") from error
    own = _tensors(state)
    kinds = [{name: (t.shape, t.dtype) for name, t in some.items()} for some in (own, tensors)]
    if not fits or kinds[0] != kinds[1]:
        raise InputError(
            f"{path} belongs to a run with another video or other options; use the same ones, or "
            "start again without --resume"
        )
    ages = [tensor for name, tensor in tensors.items() if name.endswith(".ages")]
    if not all(0 <= int(age.min()) <= int(age.max()) <= place["step"] for age in ages):
        raise InputError(f"{path} is damaged; start again without --resume")  # they are indices
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(tensors[name])
    for name, value in place.items():
        setattr(state, name, value)


def _tensors(state: AvatarState) -> dict[str, Tensor]:
    """All tensors by name; copying into them restores the state."""
    tensors = {f"avatar.{name}": value for name, value in state.avatar.state_dict().items()}
    tensors |= {f"average.{name}": value for name, value in state.average.items()}
    for number, adam in enumerate(state.texture_adams):
        tensors |= {f"texture_adam.{number}.moments": adam.moments}
        tensors |= {f"texture_adam.{number}.ages": adam.ages}
    tensors |= adam_tensors("adam", state.adam)
    extra = state.extra_losses
    if extra is not None and extra.critic is not None and extra.critic_adam is not None:
        tensors |= {f"critic.{name}": value for name, value in extra.critic.state_dict().items()}
        tensors |= adam_tensors("critic_adam", extra.critic_adam)
    return tensors
