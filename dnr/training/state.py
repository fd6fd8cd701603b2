"""What training carries from step to step, and its checkpoints."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dnr.asset import Asset
from dnr.errors import InputError
from dnr.tensor_files import load_tensors, save_tensors
from dnr.textures.pyramid import COLOURS, Pyramid
from dnr.textures.row_adam import RowAdam
from dnr.training.exposure import Exposure
from dnr.training.losses import ExtraLosses
from dnr.training.presets import Recipe

BETAS = (0.9, 0.99)
LARGEST = 1 << 40
"""Of any number in the head of a checkpoint."""


@dataclass
class TrainingState:
    """Weights, optimisers and the place in the schedule."""

    asset: Asset
    recipe: Recipe
    exposure: Exposure | None
    texture_adams: list[RowAdam]
    network_adam: torch.optim.Adam
    extra_losses: ExtraLosses | None = None
    step: int = 0
    total: int | None = None
    """Steps in all; None until a budget in minutes has been turned into steps."""
    seconds: float = 0.0
    """Training time so far, over all sittings."""
    history: list[dict[str, float]] = field(default_factory=list)

    def rate_factor(self) -> float:
        """Share of the learning rates at this step: a cosine from 1 to the recipe's last rate."""
        done = 0.0 if self.total is None else self.step / max(self.total, 1)
        last = self.recipe.last_rate
        return last + (1 - last) * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))

    def let_go(self) -> None:
        """Free what only further steps would need: three times the memory of the weights."""
        self.texture_adams.clear()
        self.network_adam.state.clear()
        self.network_adam.zero_grad()


def new_state(
    asset: Asset, recipe: Recipe, num_views: int, exposure: bool, total: int | None
) -> TrainingState:
    """The state before the first step."""
    codes = Exposure(num_views).to(asset.device) if exposure else None
    texture_adams = [
        _row_adam(pyramid, recipe) for pyramid in asset.texture.pyramids if pyramid.sizes
    ]
    groups = [{"params": list(asset.renderer.parameters()), "rate": recipe.network_rate}]
    if codes is not None:
        groups.append({"params": list(codes.parameters()), "rate": recipe.network_rate})
    network_adam = torch.optim.Adam(groups, lr=recipe.network_rate, betas=BETAS)
    extra = ExtraLosses(recipe.losses, asset.device) if recipe.losses.any else None
    return TrainingState(asset, recipe, codes, texture_adams, network_adam, extra, total=total)


def _row_adam(pyramid: Pyramid, recipe: Recipe) -> RowAdam:
    """The optimiser of one pyramid: the finer a level, the more its features are held back."""
    shape = (len(pyramid.sizes), pyramid.texels.shape[1])
    decay = torch.zeros(shape)
    for level in range(shape[0] - 1):
        decay[level, COLOURS:] = recipe.decay / 4**level
    return RowAdam(pyramid, torch.full(shape, recipe.texture_rate), decay, BETAS)


def save_checkpoint(path: Path, state: TrainingState, identity: dict[str, Any]) -> None:
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
    save_tensors(path, {"head": text} | _tensors(state))


def load_checkpoint(path: Path, state: TrainingState, identity: dict[str, Any]) -> None:
    """Bring `state`, made by `new_state` for the same run, to where the checkpoint was written."""
    tensors = load_tensors(path)
    try:
        head = json.loads(bytes(tensors.pop("head").tolist()))
        place = checked_place(head)
        fits = head["identity"] == json.loads(json.dumps(identity))  # tuples become lists
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise InputError(f"{path} is not a checkpoint; start again without --resume") from error
    own = _tensors(state)
    if not fits or _kinds(own) != _kinds(tensors):
        raise InputError(
            f"{path} belongs to a run with other photos, mesh or options; use the same ones, or "
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


def checked_place(head: dict[str, Any]) -> dict[str, Any]:
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


def _tensors(state: TrainingState) -> dict[str, Tensor]:
    """All tensors of `state` by name; copying into them restores it."""
    tensors = {f"asset.{name}": value for name, value in state.asset.state_dict().items()}
    tensors["mesh.vertices"] = state.asset.mesh.vertices
    if state.exposure is not None:
        tensors |= {f"exposure.{n}": v for n, v in state.exposure.state_dict().items()}
    for number, adam in enumerate(state.texture_adams):
        tensors |= {f"texture_adam.{number}.moments": adam.moments}
        tensors |= {f"texture_adam.{number}.ages": adam.ages}
    tensors |= adam_tensors("network_adam", state.network_adam)
    extra = state.extra_losses
    if extra is not None and extra.critic is not None and extra.critic_adam is not None:
        tensors |= {f"critic.{name}": value for name, value in extra.critic.state_dict().items()}
        tensors |= adam_tensors("critic_adam", extra.critic_adam)
    return tensors


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
