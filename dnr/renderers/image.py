"""Renderers that look at whole images or crops: the published U-Net, and the improved one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from dnr.raster.surface import Surface
from dnr.renderers.pixel import NUM_MULTIPLIED, fast_bfloat16, multiply_harmonics
from dnr.renderers.unet import PaperUNet, ResidualUNet
from dnr.textures.harmonics import harmonics, reflect
from dnr.textures.pyramid import COLOURS

MULTIPLIED = 3
"""Nine channels from this one on are scaled by harmonics in the published method."""
EXTRA = 9 + 3 + 1
"""Channels that the improved network sees besides the features: harmonics, normal, mask."""


@dataclass(frozen=True)
class ImageConfig:
    network: Literal["paper", "residual"] = "residual"
    """The published network, or the one without transposed convolutions and late norms."""

    @property
    def least_neural(self) -> int:
        """Channels besides colour that it cannot do without."""
        return NUM_MULTIPLIED if self.network == "paper" else 0


class ImageRenderer(nn.Module):
    def __init__(self, channels: int, config: ImageConfig) -> None:
        super().__init__()
        self.config = config
        if config.network == "paper":
            self.network = PaperUNet(channels)
        else:
            self.network = ResidualUNet(channels + EXTRA)

    def forward(
        self,
        features: Tensor,  # [B, H, W, C], zero where nothing is seen
        surface: Surface,  # leading [B, H, W]
        seen: Tensor,  # [B, H, W] bool
        background: Tensor,  # [B, 3, H, W]
    ) -> Tensor:  # [B, 3, H, W]
        """The whole image, background included."""
        device = features.device
        with torch.autocast(device.type, torch.bfloat16, enabled=fast_bfloat16(device)):
            if isinstance(self.network, PaperUNet):
                scaled = multiply_harmonics(features, surface.view, MULTIPLIED)
                return self.network(scaled.permute(0, 3, 1, 2)).to(features.dtype)
            hit = seen[..., None].to(features)
            bands = harmonics(reflect(surface.view, surface.normal), 2) * hit
            inputs = torch.cat([features, bands, surface.normal * hit, hit], dim=-1)
            colour = features[..., :COLOURS].permute(0, 3, 1, 2)
            base = torch.where(seen[:, None], colour, background)
            return self.network(inputs.permute(0, 3, 1, 2), base).to(features.dtype)
