"""U-Nets that turn a feature image into colours: the published one, and one without its faults."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

NUM_HALVINGS = 5
"""Both networks halve the image five times, so sides are padded to multiples of 2 ** 5."""


class PaperUNet(nn.Module):
    """The five-level pix2pix network of deferred neural rendering, 16.7 M weights for 16 channels.

    4x4 convolutions with stride 2 on the way down, 4x4 transposed ones on the way up, skips at four
    levels and none at full resolution, instance norm in the decoder, tanh at the end (mapped to
    [0, 1]). Its grid artefacts are the published method's own: see `ResidualUNet`.
    """

    down_widths = (64, 128, 256, 512, 512)
    up_widths = (512, 256, 128, 64, 3)

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.down = nn.ModuleList()
        for width_in, width in pairwise((channels, *self.down_widths)):
            self.down.append(nn.Conv2d(width_in, width, 4, stride=2, padding=1))
        self.up = nn.ModuleList()
        skips = (0, *reversed(self.down_widths[:-1]))
        inputs = (self.down_widths[-1], *self.up_widths)
        for width_in, skip, width in zip(inputs, skips, self.up_widths, strict=False):
            self.up.append(nn.ConvTranspose2d(width_in + skip, width, 4, stride=2, padding=1))

    def forward(self, features: Tensor) -> Tensor:  # [B, C, H, W] -> [B, 3, H, W] in [0, 1]
        height, width = features.shape[-2:]
        x = pad_to_multiple(features, 2**NUM_HALVINGS)
        skips: list[Tensor] = []
        for level, convolution in enumerate(self.down):
            x = convolution(x if level == 0 else functional.leaky_relu(x, 0.2))
            skips.append(x)
        x = skips.pop()
        for level, convolution in enumerate(self.up):
            x = x if level == 0 else torch.cat([x, skips.pop()], dim=1)
            x = convolution(functional.relu(x))
            if level < len(self.up) - 1:
                x = functional.instance_norm(x)
        return (torch.tanh(x[..., :height, :width]) + 1) / 2


class ResidualUNet(nn.Module):
    """A small U-Net with a full-resolution path that predicts what to add to a base colour.

    Nearest-neighbour resizing followed by a 3x3 convolution replaces transposed convolutions (no
    grid), nothing is normalised (absolute colour survives), the last layer starts at zero (the
    first picture is the base colour itself).
    """

    def __init__(self, channels: int, widths: tuple[int, ...] = (24, 48, 96)) -> None:
        super().__init__()
        self.entry = nn.Conv2d(channels, widths[0], 3, padding=1)
        self.down = nn.ModuleList(
            nn.Conv2d(wide, wider, 4, stride=2, padding=1) for wide, wider in pairwise(widths)
        )
        self.up = nn.ModuleList(
            nn.Conv2d(wider + wide, wide, 3, padding=1)
            for wide, wider in reversed(list(pairwise(widths)))
        )
        self.exit = nn.Conv2d(widths[0], 3, 3, padding=1)
        nn.init.zeros_(self.exit.weight)
        nn.init.zeros_(self.exit.bias)  # type: ignore[arg-type]

    def forward(self, features: Tensor, base: Tensor) -> Tensor:  # [B, C, H, W], [B, 3, H, W]
        height, width = features.shape[-2:]
        x = functional.leaky_relu(self.entry(pad_to_multiple(features, 2 ** len(self.down))), 0.1)
        skips = [x]
        for convolution in self.down:
            skips.append(functional.leaky_relu(convolution(skips[-1]), 0.1))
        x = skips.pop()
        for convolution in self.up:
            finer = functional.interpolate(x, scale_factor=2.0, mode="nearest")
            x = functional.leaky_relu(convolution(torch.cat([finer, skips.pop()], dim=1)), 0.1)
        return base + self.exit(x)[..., :height, :width]


def pad_to_multiple(image: Tensor, step: int) -> Tensor:  # [B, C, H, W]
    """The image, grown to the right and below with zeros until both sides are multiples."""
    height, width = image.shape[-2:]
    return functional.pad(image, (0, -width % step, 0, -height % step))
