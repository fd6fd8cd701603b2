"""Paint on an avatar: the change of its texture's colour, put on after the network.

The network has learned what the texture's colours become, and new ones would mislead it. So it
goes on seeing the old ones, and what it makes of them is changed by as much as the texture was,
brighter or darker as the light of the frame is.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

WINDOW = 9
"""Pixels over which the light is taken to be even."""
LEAST_COLOUR = 0.05
LIGHT = (0.3, 2.5)


def look_up_paint(paint: Tensor, uv: Tensor) -> Tensor:  # [3, S, S], [N, 2] -> [N, 3]
    """The paint at surface points."""
    grid = torch.stack([2 * uv[:, 0] - 1, 1 - 2 * uv[:, 1]], dim=-1)  # v points up
    found = functional.grid_sample(
        paint[None], grid[None, None], padding_mode="border", align_corners=False
    )
    return found[0, :, 0].T


def light_on(finished: Tensor, texture: Tensor, hit: Tensor) -> Tensor:  # [1, 1, S, S]
    """How much brighter a finished picture [1, 3, S, S] is than its texture, smoothly."""
    weight = hit.to(finished)

    def even(image: Tensor) -> Tensor:
        mean = image.mean(dim=1, keepdim=True) * weight
        return functional.avg_pool2d(mean, WINDOW, 1, WINDOW // 2)

    ratio = even(finished) / even(texture.clamp(min=LEAST_COLOUR)).clamp(min=1e-4)
    return ratio.clamp(*LIGHT) * weight
