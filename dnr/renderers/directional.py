"""What a per-pixel renderer is told about direction: mirror direction, facing ratio and lamps."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from dnr.renderers.directional_cpu import EPSILON, FusedDirections
from dnr.textures.harmonics import harmonics, reflect

DEGREE = 3
NUM_HARMONICS = (DEGREE + 1) ** 2
NORMAL_OFFSET = 3
"""The first so many neural channels bend the surface normal."""


class Lamps(nn.Module):
    """Directions to bright things, shared by the whole surface and learned from all texels at once.

    Low harmonics cannot hold a small lamp, and a texel sees its highlight in one or two photos
    only: without lamps the network memorises those photos. With them a highlight appears where no
    photo had one (on the bench sphere this is worth 2.5 dB, more than any other choice).
    """

    def __init__(self, count: int) -> None:
        super().__init__()
        index = torch.arange(count) + 0.5  # a Fibonacci lattice
        z = 1 - 2 * index / max(count, 1)
        turn = math.pi * (1 + math.sqrt(5)) * index
        ring = (1 - z * z).sqrt()
        self.axes = nn.Parameter(torch.stack([ring * turn.cos(), ring * turn.sin(), z], dim=-1))
        self.log_sharpness = nn.Parameter(torch.linspace(1.0, 6.0, count))

    def forward(self) -> tuple[Tensor, Tensor]:  # [K, 3] unit, [K] positive
        return functional.normalize(self.axes, dim=-1), self.log_sharpness.exp()


def directional_inputs(
    neural: Tensor,  # [N, C], the first three bend the normal
    normal: Tensor,  # [N, 3]
    view: Tensor,  # [N, 3]
    axes: Tensor,  # [K, 3]
    sharpness: Tensor,  # [K]
) -> Tensor:  # [N, C + 16 + 1 + K]
    """Neural channels, harmonics of the mirror direction, facing ratio, and lamps, side by side.

    A lamp's input is 1 / (1 + sharpness * (1 - n . h)) ** 2 with the half vector h between view and
    lamp, as in microfacet models: smooth, with tails long enough to be found by descent, cheaper
    than an exponential. On the CPU a fused twin does the work, unless geometry wants gradients.
    """
    moves = torch.is_grad_enabled() and (normal.requires_grad or view.requires_grad)
    if neural.device.type == "cpu" and neural.dtype == torch.float32 and not moves:
        return FusedDirections.apply(neural, normal, view, axes, sharpness)  # type: ignore
    return directional_inputs_reference(neural, normal, view, axes, sharpness)


def directional_inputs_reference(
    neural: Tensor, normal: Tensor, view: Tensor, axes: Tensor, sharpness: Tensor
) -> Tensor:
    """The same in plain torch."""
    bent = functional.normalize(normal + neural[:, :NORMAL_OFFSET], dim=-1)
    mirror = reflect(view, bent)
    facing = (bent * view).sum(dim=-1, keepdim=True)
    middle = (bent @ axes.T + facing) * (2 + 2 * view @ axes.T + EPSILON).rsqrt()
    lamps = (1 + sharpness * (1 - middle)) ** -2
    return torch.cat([neural, harmonics(mirror, DEGREE), facing, lamps], dim=-1)
