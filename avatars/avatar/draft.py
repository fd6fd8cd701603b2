"""A picture before the network: what texture and layers say, laid over each other."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from avatars.avatar.layers import Seen

RIM = 0.012
"""Width, of the picture's, of the mesh's rim where the network decides whether it is the person."""


def image(hit: Tensor, values: Tensor) -> Tensor:  # [S, S], [N, C] -> [1, C, S, S]
    """Values of the pixels that see the mesh, in their places; zero elsewhere."""
    rows = hit.flatten().nonzero()[:, 0]
    placed = values.new_zeros(hit.numel(), values.shape[1]).index_copy(0, rows, values)
    return placed.view(*hit.shape, -1).permute(2, 0, 1)[None]


def together(images: list[Tensor]) -> Tensor:  # [1, C, S, S] each
    """All channels, those of a pixel next to each other: what the network is fastest with."""
    return torch.cat([one.permute(0, 2, 3, 1) for one in images], dim=3).permute(0, 3, 1, 2)


def drafted(
    skin: Tensor, hit: Tensor, layers: list[Seen]
) -> tuple[Tensor, Tensor]:  # [1, 3, S, S], [1, 1, S, S]
    """Colour and alpha of the person by texture and layers alone, front over back."""
    alpha = torch.zeros_like(skin[:, :1])
    premultiplied = torch.zeros_like(skin)
    mesh = torch.where(hit, _softened(hit), 0.0).to(skin)
    for own, colour in [*((layer.alpha, layer.colour) for layer in layers), (mesh, skin)]:
        own = own.to(skin)
        premultiplied = premultiplied * (1 - own) + own * colour.to(skin)
        alpha = alpha * (1 - own) + own
    return premultiplied / alpha.clamp(min=1e-3), alpha


def _softened(hit: Tensor) -> Tensor:  # [1, 1, S, S], bool -> float
    """1 on the mesh, and less towards its outline, which is a little wrong everywhere."""
    reach = round(RIM * hit.shape[-1])
    soft = functional.pad(hit.float(), (reach,) * 4, mode="replicate")
    for window in ((2 * reach + 1, 1), (1, 2 * reach + 1)):
        soft = functional.avg_pool2d(soft, window, stride=1)
    return soft
