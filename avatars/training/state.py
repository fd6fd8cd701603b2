"""What training an avatar carries from step to step."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn

from avatars.avatar.avatar import Avatar
from dnr.textures.pyramid import COLOURS, Pyramid
from dnr.textures.row_adam import RowAdam
from dnr.training.checkpoints import adam_tensors, critic_tensors, row_adam_tensors
from dnr.training.losses import ExtraLosses
from dnr.training.options import ImageLosses

BETAS = (0.9, 0.99)
NETWORK_RATE, CANVAS_RATE, ALPHA_RATE, TEXTURE_RATE = 2e-3, 4e-3, 2e-2, 5e-3
HAIR_RATE = 2e-4
"""Of the hair's colour; its alpha stays the mean mask. What the mesh hides of it is seen only where
the track errs, and would learn to be background: ghosts beside the head in poses never seen."""
DECAY = 2e-3
"""Pull of neural texels towards zero, in shares of a step, at the finest level."""
AVERAGED = 0.998
"""Share that the averaged weights keep in a step."""


@dataclass
class AvatarState:
    """Weights, their average over the last steps, optimisers and the place in the schedule."""

    others: ClassVar[str] = "another video or other options"
    avatar: Avatar
    average: dict[str, Tensor]
    texture_adams: list[RowAdam]
    adam: torch.optim.Adam
    extra_losses: ExtraLosses | None
    step: int = 0
    total: int | None = None
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)

    def rate_factor(self) -> float:
        """Share of the learning rates at this step: up quickly, then a cosine down to nothing."""
        done = 0.0 if self.total is None else min(self.step / max(self.total, 1), 1.0)
        warm = min((self.step + 1) / 20, 1.0)
        return warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))

    def tensors(self) -> dict[str, Tensor]:
        """All tensors by name; copying into them restores the state."""
        tensors = {f"avatar.{name}": value for name, value in self.avatar.state_dict().items()}
        tensors |= {f"average.{name}": value for name, value in self.average.items()}
        tensors |= row_adam_tensors(self.texture_adams) | adam_tensors("adam", self.adam)
        return tensors | critic_tensors(self.extra_losses)

    @torch.no_grad()
    def update_average(self) -> None:
        """Take the present weights into the average; early ones are soon forgotten."""
        keep = min(AVERAGED, (1 + self.step) / (10 + self.step))
        for name, value in _averaged(self.avatar):
            self.average[name].lerp_(value, 1 - keep)


def new_state(avatar: Avatar, losses: ImageLosses, total: int | None) -> AvatarState:
    """The state before the first step."""
    canvases, alphas, hair, others = [], [], [], []
    for name, parameter in _averaged(avatar):
        kind = name.rpartition(".")[2]
        if name in ("hair.colour", "hair.logit"):
            hair += [parameter] if kind == "colour" else []
        elif kind == "logit":
            alphas.append(parameter)
        elif kind in ("colour", "features", "bases"):
            canvases.append(parameter)
        else:
            others.append(parameter)
    rates = [(others, NETWORK_RATE), (canvases, CANVAS_RATE)]
    rates += [(alphas, ALPHA_RATE), (hair, HAIR_RATE)]
    groups = [{"params": parameters, "rate": rate} for parameters, rate in rates if parameters]
    adam = torch.optim.Adam(groups, lr=NETWORK_RATE, betas=BETAS)
    texture_adams = [_row_adam(level) for level in avatar.texture.pyramids if level.sizes]
    average = {name: value.detach().clone() for name, value in _averaged(avatar)}
    extra = ExtraLosses(losses, avatar.device) if losses.any else None
    return AvatarState(avatar, average, texture_adams, adam, extra, total=total)


@contextmanager
def averaged(state: AvatarState) -> Iterator[Avatar]:
    """The avatar with averaged weights, for the length of the block: better than the last ones."""
    own = {name: value.detach().clone() for name, value in _averaged(state.avatar)}
    _put(state.avatar, state.average)
    try:
        yield state.avatar
    finally:
        _put(state.avatar, own)


@torch.no_grad()
def _put(avatar: Avatar, values: dict[str, Tensor]) -> None:
    for name, parameter in _averaged(avatar):
        parameter.copy_(values[name])


def _averaged(avatar: Avatar) -> Iterator[tuple[str, nn.Parameter]]:
    """All weights but the static texture's, of which a step touches only a part."""
    for name, parameter in avatar.named_parameters():
        if not name.startswith("texture."):
            yield name, parameter


def _row_adam(pyramid: Pyramid) -> RowAdam:
    shape = (len(pyramid.sizes), pyramid.texels.shape[1])
    decay = torch.zeros(shape)
    for level in range(shape[0] - 1):
        decay[level, COLOURS:] = DECAY / 4**level
    return RowAdam(pyramid, torch.full(shape, TEXTURE_RATE), decay, BETAS)
