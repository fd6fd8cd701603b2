"""Optional terms for renderers that look at images: structure, edges, perception, a critic."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from dnr.errors import InputError
from dnr.training.metrics import lpips_or_none, ssim
from dnr.training.options import ImageLosses

CRITIC_RATE = 2e-4


class ExtraLosses:
    """The terms that `weights` switch on, and the critic that learns beside the renderer."""

    def __init__(self, weights: ImageLosses, device: torch.device) -> None:
        self.weights = weights
        self.critic: Critic | None = None
        self.critic_adam: torch.optim.Adam | None = None
        if weights.adversarial:
            self.critic = Critic().to(device)
            rates = {"lr": CRITIC_RATE, "betas": (0.5, 0.99)}
            self.critic_adam = torch.optim.Adam(self.critic.parameters(), **rates)
        self._lpips = None
        if weights.lpips:
            self._lpips, sentence = lpips_or_none(torch.zeros((), device=device))
            if self._lpips is None:
                raise InputError(f"{sentence} Train without --losses.lpips, or install it.")

    def __call__(self, render: Tensor, photo: Tensor) -> Tensor | float:  # [B, 3, H, W] each
        """The weighted sum of all terms; moves the critic by one step first."""
        weights, total = self.weights, 0.0
        if weights.ssim:
            total = total + weights.ssim * (1 - ssim(render, photo)).mean()
        if weights.gradient:
            total = total + weights.gradient * edge_difference(render, photo)
        if self._lpips is not None:
            total = total + weights.lpips * self._lpips(render, photo).mean()
        if self.critic is not None:
            self._teach(render.detach(), photo)
            total = total + weights.adversarial * (self.critic(render) - 1).square().mean()
        return total

    def _teach(self, render: Tensor, photo: Tensor) -> None:
        """One step of the critic towards 1 on photos and 0 on renders (least squares)."""
        assert self.critic is not None and self.critic_adam is not None
        loss = (self.critic(photo) - 1).square().mean() + self.critic(render).square().mean()
        self.critic_adam.zero_grad()
        loss.backward()
        self.critic_adam.step()


class Critic(nn.Module):
    """Says patch by patch how much an image looks like a photo: the 34-pixel PatchGAN."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 32, 4, stride=2, padding=1)
        self.second = nn.Conv2d(32, 64, 4, stride=2, padding=1)
        self.third = nn.Conv2d(64, 128, 4, padding=1)
        self.last = nn.Conv2d(128, 1, 4, padding=1)

    def forward(self, image: Tensor) -> Tensor:  # [B, 3, H, W] -> [B, 1, h, w]
        x = functional.leaky_relu(self.first(image * 2 - 1), 0.2)
        for convolution in (self.second, self.third):
            x = functional.leaky_relu(functional.instance_norm(convolution(x)), 0.2)
        return self.last(x)


def edge_difference(render: Tensor, photo: Tensor) -> Tensor:  # [B, 3, H, W] each -> []
    """Mean absolute difference between the images' own differences of neighbouring pixels."""
    across = (render - photo).diff(dim=-1).abs().mean()
    return across + (render - photo).diff(dim=-2).abs().mean()
