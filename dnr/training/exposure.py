"""Per-photo exposure and white balance, so that drifting cameras do not blur the texture."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Exposure(nn.Module):
    """A gain per photo and colour channel. At zero, where it starts, it changes nothing."""

    def __init__(self, num_views: int) -> None:
        super().__init__()
        self.log_gain = nn.Parameter(torch.zeros(num_views, 3))

    def forward(self, colour: Tensor, view: Tensor) -> Tensor:  # [N, 3], [N] -> [N, 3]
        """Colours as photo `view` would have recorded them; gains have a mean of one over all."""
        centred = self.log_gain - self.log_gain.mean(dim=0)
        return colour * centred[view].exp()


def fitted_gain(render: Tensor, photo: Tensor, weight: Tensor) -> Tensor:  # [3]
    """The gain per channel that brings `render` [3, H, W] closest to `photo` under `weight`."""
    both = (weight * render * photo).sum(dim=(1, 2))
    return both / (weight * render * render).sum(dim=(1, 2)).clamp(min=1e-12)
