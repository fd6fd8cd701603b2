"""The network that finishes a picture of the head: a U-Net that also hears the expression code."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from avatars.avatar.code import LENGTH

OUTPUTS = 4  # colour to add, and how much to change the person's alpha


class HeadNetwork(nn.Module):
    """Strided convolutions down, nearest-neighbour resizing up, skips, nothing normalised.

    Its last layer starts at zero: before training the picture is that of texture and layers.
    """

    def __init__(self, channels: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.entry = nn.Conv2d(channels, widths[0], 1)
        self.down = nn.ModuleList(
            nn.Conv2d(wide, wider, 4, stride=2, padding=1) for wide, wider in pairwise(widths)
        )
        self.up = nn.ModuleList(
            nn.Conv2d(wider + wide, wide, 3, padding=1)
            for wide, wider in reversed(list(pairwise(widths)))
        )
        self.heard = nn.Linear(LENGTH, 2 * widths[-1])
        self.exit = nn.Conv2d(widths[0], OUTPUTS, 3, padding=1)
        for layer in (self.heard, self.exit):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(self, features: Tensor, code: Tensor) -> Tensor:  # [B, C, S, S], [B, LENGTH]
        x = functional.leaky_relu(self.entry(features), 0.1)
        skips = [x]
        for convolution in self.down:
            skips.append(functional.leaky_relu(convolution(skips[-1]), 0.1))
        x = skips.pop()
        gain, offset = self.heard(code)[..., None, None].chunk(2, dim=1)
        x = x * (1 + gain) + offset
        for convolution in self.up:
            finer = functional.interpolate(x, scale_factor=2.0, mode="nearest")
            x = functional.leaky_relu(convolution(torch.cat([finer, skips.pop()], dim=1)), 0.1)
        return self.exit(x)
