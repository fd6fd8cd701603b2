"""What training carries from step to step."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from dnr.asset import Asset
from dnr.textures.pyramid import COLOURS, Pyramid
from dnr.textures.row_adam import RowAdam
from dnr.training.checkpoints import adam_tensors, critic_tensors, row_adam_tensors
from dnr.training.exposure import Exposure
from dnr.training.losses import ExtraLosses
from dnr.training.presets import Recipe

BETAS = (0.9, 0.99)


@dataclass
class TrainingState:
    """Weights, optimisers and the place in the schedule."""

    others: ClassVar[str] = "other photos, mesh or options"
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

    def tensors(self) -> dict[str, Tensor]:
        """All tensors by name; copying into them restores the state."""
        tensors = {f"asset.{name}": value for name, value in self.asset.state_dict().items()}
        tensors["mesh.vertices"] = self.asset.mesh.vertices
        if self.exposure is not None:
            tensors |= {f"exposure.{n}": v for n, v in self.exposure.state_dict().items()}
        tensors |= row_adam_tensors(self.texture_adams)
        tensors |= adam_tensors("network_adam", self.network_adam)
        return tensors | critic_tensors(self.extra_losses)

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
