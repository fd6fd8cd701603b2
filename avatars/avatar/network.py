"""The network that finishes a picture of the head: a U-Net that also hears the expression code."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from avatars.avatar.code import LENGTH

SLOPE = 0.1
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
        # A pixel's channels lie together: a third faster here, in steps and in pictures.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, features: Tensor, code: Tensor) -> Tensor:  # [B, C, S, S], [B, LENGTH]
        features = features.contiguous(memory_format=torch.channels_last)
        x = functional.leaky_relu(self.entry(features), SLOPE)
        skips = [x]
        for convolution in self.down:
            skips.append(functional.leaky_relu(convolution(skips[-1]), SLOPE))
        x = skips.pop()
        gain, offset = self.heard(code)[..., None, None].chunk(2, dim=1)
        x = x * (1 + gain) + offset
        for convolution in self.up:
            x = functional.leaky_relu(_doubled_beside(convolution, x, skips.pop()), SLOPE)
        return self.exit(x)


def _doubled_beside(
    convolution: nn.Module, coarse: Tensor, skip: Tensor
) -> Tensor:  # [B, C, S, S], [B, D, 2S, 2S] -> [B, E, 2S, 2S]
    """`convolution` over `coarse`, doubled in size by repeating pixels, and `skip` behind it.

    Exactly that, but nothing is repeated: of the nine weights that fall onto copies of one pixel,
    sums are taken, which makes a transposed convolution. Its grid is the repeated pixels' own.
    """
    assert isinstance(convolution, nn.Conv2d)
    of_coarse, of_skip = convolution.weight.split([coarse.shape[1], skip.shape[1]], dim=1)
    framed = functional.pad(of_coarse.flip(2, 3).transpose(0, 1), (1, 1, 1, 1))
    pairs = framed[..., 1:, :] + framed[..., :-1, :]
    summed = pairs[..., 1:] + pairs[..., :-1]  # [C, E, 4, 4]
    doubled = functional.conv_transpose2d(coarse, summed, convolution.bias, stride=2, padding=1)
    return doubled + functional.conv2d(skip, of_skip, padding=1)
