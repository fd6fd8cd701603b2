"""Adam that touches only the texels a batch has seen, each row with its own age."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from dnr.textures.gather import CORNERS, adam_rows, scatter
from dnr.textures.pyramid import Pyramid

NEGLIGIBLE = 2.0**-25
"""What float32 cannot tell from 0 beside 1."""


class RowAdam:
    """Steps a pyramid from the gradient of its lookups.

    Dense Adam would read and write every texel in every step; a batch touches one in fifty. On the
    CPU the work is done by numba (gather.py), elsewhere by `row_adam_reference`, which is also what
    the tests compare with.
    """

    def __init__(
        self,
        pyramid: Pyramid,
        rates: Tensor,  # [L, C] learning rate of every level and channel
        decay: Tensor,  # [L, C] decoupled pull towards zero, as a fraction of a step
        betas: tuple[float, float] = (0.9, 0.99),
    ) -> None:
        self.pyramid, self.rates, self.decay, self.betas = pyramid, rates, decay, betas
        rows, channels = pyramid.texels.shape
        self.moments = pyramid.texels.new_zeros(rows, 2, channels)
        self.ages = torch.zeros(rows, dtype=torch.int32, device=pyramid.texels.device)
        # 1 / (1 - beta ** age) up to the age from which on it is 1.
        oldest = math.ceil(math.log(NEGLIGIBLE) / math.log(max(betas)))
        age = torch.arange(1, oldest + 1, dtype=torch.float64)
        self._corrections = torch.stack([1 / (1 - beta**age) for beta in betas], 1).float()
        self._slots = torch.zeros(rows, dtype=torch.int32)
        self._rows = torch.empty(0, dtype=torch.int32)
        self._sums = torch.empty(0, channels)

    @torch.no_grad()
    def step(
        self,
        uv: Tensor,  # [N, 2]
        footprint: Tensor,  # [N, 1]
        gradient: Tensor,  # [N, C], further columns are not read
        factor: float,  # scales all rates: the schedule
    ) -> None:
        """Move the texels seen at `uv`."""
        rates, shrink = self.rates * factor, self.decay * factor
        if uv.device.type != "cpu":
            row_adam_reference(self, uv, footprint, gradient, rates, shrink)
            return
        pyramid = self.pyramid
        room = min(len(uv) * CORNERS * len(pyramid.sizes), len(self._slots))
        if len(self._rows) < room:
            self._rows = torch.empty(room, dtype=torch.int32)
            self._sums = torch.empty(room, pyramid.texels.shape[1])
        rows, sums = self._rows.numpy(), self._sums.numpy()
        count = scatter(
            gradient.contiguous().numpy(),
            np.array(pyramid.sizes),
            pyramid.always,
            uv.contiguous().numpy(),
            footprint.contiguous().numpy(),
            self._slots.numpy(),
            rows,
            sums,
        )
        adam_rows(
            pyramid.texels.numpy(),
            self.moments.numpy(),
            self.ages.numpy(),
            rows[:count],
            sums[:count],
            rates.numpy(),
            shrink.numpy(),
            np.array(pyramid.starts[:-1]),
            self._corrections.numpy(),
            np.array(self.betas, np.float32),
        )


def row_adam_reference(
    adam: RowAdam,
    uv: Tensor,  # [N, 2]
    footprint: Tensor,  # [N, 1]
    gradient: Tensor,  # [N, C]
    rates: Tensor,  # [L, C]
    shrink: Tensor,  # [L, C]
) -> None:
    """One step in plain torch: autograd spreads the gradient, masks pick the touched rows."""
    pyramid, texels = adam.pyramid, adam.pyramid.texels
    gradient = gradient[:, : texels.shape[1]]
    with torch.enable_grad():
        seen_features = pyramid.sample(uv, footprint)
        (dense,) = torch.autograd.grad(seen_features, texels, gradient, retain_graph=True)
        (seen,) = torch.autograd.grad(seen_features, texels, torch.ones_like(gradient))
    rows = seen[:, 0].nonzero()[:, 0]
    starts = torch.tensor(pyramid.starts[1:], device=uv.device)
    level = torch.bucketize(rows, starts, right=True)
    age = adam.ages[rows].clamp(max=len(adam._corrections) - 1).long()
    adam.ages[rows] += 1
    for moment, (beta, power) in enumerate(zip(adam.betas, (1, 2), strict=True)):
        adam.moments[rows, moment] *= beta
        adam.moments[rows, moment] += (1 - beta) * dense[rows] ** power
    corrections = adam._corrections.to(uv.device)[age]
    mean = adam.moments[rows, 0] * corrections[:, :1]
    square = adam.moments[rows, 1] * corrections[:, 1:]
    kept = texels[rows] * (1 - shrink.to(uv.device)[level])
    texels[rows] = kept - rates.to(uv.device)[level] * mean / (square.sqrt() + 1e-8)
