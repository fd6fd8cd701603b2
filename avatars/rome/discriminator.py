"""Tells photos from renderings, patch by patch: four blocks, spectral and instance norms."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm


class PatchDiscriminator(nn.Module):
    """Scores for patches of a picture, and what each block saw on the way."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        widths = (3, width, 2 * width, 4 * width, 8 * width)
        self.blocks = nn.ModuleList()
        for level in range(4):
            conv = nn.Conv2d(widths[level], widths[level + 1], 3, 2 if level < 3 else 1, 1)
            norm = nn.InstanceNorm2d(widths[level + 1], affine=True)
            self.blocks.append(nn.Sequential(spectral_norm(conv), norm, nn.LeakyReLU(0.2)))
        self.score = spectral_norm(nn.Conv2d(widths[-1], 1, 1))

    def forward(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:  # [B, 3, H, W]
        features = []
        for block in self.blocks:
            image = block(image)
            features.append(image)
        return self.score(image), features


def hinge_real_fake(real: Tensor, fake: Tensor) -> Tensor:
    """What the discriminator minimises."""
    return torch.relu(1 - real).mean() + torch.relu(1 + fake).mean()


def feature_distance(real: list[Tensor], fake: list[Tensor]) -> Tensor:
    """Mean absolute difference of what the blocks saw; gradients go to the fake."""
    terms = [(a.detach() - b).abs().mean() for a, b in zip(real, fake, strict=True)]
    return torch.stack(terms).mean()
