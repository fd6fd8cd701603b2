"""Adam that touches only the texels a batch has seen, each row with its own age."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from dnr.textures.gather import CORNERS, adam_rows, scatter
from dnr.textures.pyramid import NeuralTexture

OLDEST = 4000
"""Beyond this age Adam's bias corrections are 1 to float precision."""


class RowAdam:
    """Steps a texture from the gradient of its lookups.

    Dense Adam would read and write every texel in every step; a batch touches one in fifty. On the
    CPU the work is done by numba (gather.py), elsewhere by `row_adam_reference`, which is also what
    the tests compare with.
    """

    def __init__(
        self,
        texture: NeuralTexture,
        rates: Tensor,  # [L, C] learning rate of every level and channel
        decay: Tensor,  # [L, C] decoupled pull towards zero, as a fraction of a step
        betas: tuple[float, float] = (0.9, 0.99),
    ) -> None:
        self.texture, self.rates, self.decay, self.betas = texture, rates, decay, betas
        rows, channels = texture.texels.shape
        self.moments = texture.texels.new_zeros(rows, 2, channels)
        self.ages = torch.zeros(rows, dtype=torch.int32, device=texture.texels.device)
        age = torch.arange(1, OLDEST + 1, dtype=torch.float64)
        self._corrections = torch.stack([1 / (1 - beta**age) for beta in betas], 1).float()
        self._slots = torch.zeros(rows, dtype=torch.int32)
        self._rows = torch.empty(0, dtype=torch.int32)
        self._sums = torch.empty(0, channels)

    @torch.no_grad()
    def step(self, uv: Tensor, gradient: Tensor, factor: float) -> None:  # [N, 2], [N, C]
        """Move the texels seen at `uv`; `factor` scales all rates (the schedule)."""
        rates, shrink = self.rates * factor, self.decay * factor
        if uv.device.type != "cpu":
            row_adam_reference(self, uv, gradient, rates, shrink)
            return
        config = self.texture.config
        room = min(len(uv) * CORNERS * config.levels, len(self._slots))
        if len(self._rows) < room:
            self._rows = torch.empty(room, dtype=torch.int32)
            self._sums = torch.empty(room, config.channels)
        rows, sums = self._rows.numpy(), self._sums.numpy()
        count = scatter(
            gradient.contiguous().numpy(),
            np.array(config.sizes),
            uv.contiguous().numpy(),
            self._slots.numpy(),
            rows,
            sums,
        )
        adam_rows(
            self.texture.texels.numpy(),
            self.moments.numpy(),
            self.ages.numpy(),
            rows[:count],
            sums[:count],
            rates.numpy(),
            shrink.numpy(),
            np.array(config.starts[:-1]),
            self._corrections.numpy(),
            np.array(self.betas, np.float32),
        )


def row_adam_reference(
    adam: RowAdam,
    uv: Tensor,  # [N, 2]
    gradient: Tensor,  # [N, C]
    rates: Tensor,  # [L, C]
    shrink: Tensor,  # [L, C]
) -> None:
    """One step in plain torch: autograd spreads the gradient, masks pick the touched rows."""
    texture = adam.texture
    with torch.enable_grad():
        (dense,) = torch.autograd.grad(texture.sample(uv), texture.texels, gradient)
        ones = torch.ones_like(gradient)
        (seen,) = torch.autograd.grad(texture.sample(uv), texture.texels, ones)
    rows = seen[:, 0].nonzero()[:, 0]
    config, device = texture.config, uv.device
    starts = torch.tensor(config.starts[1:], device=device)
    level = torch.bucketize(rows, starts, right=True)
    age = adam.ages[rows].clamp(max=OLDEST - 1).long()
    adam.ages[rows] += 1
    for moment, (beta, power) in enumerate(zip(adam.betas, (1, 2), strict=True)):
        adam.moments[rows, moment] *= beta
        adam.moments[rows, moment] += (1 - beta) * dense[rows] ** power
    corrections = adam._corrections.to(device)[age]
    mean = adam.moments[rows, 0] * corrections[:, :1]
    square = adam.moments[rows, 1] * corrections[:, 1:]
    kept = texture.texels[rows] * (1 - shrink.to(device)[level])
    texture.texels[rows] = kept - rates.to(device)[level] * mean / (square.sqrt() + 1e-8)
