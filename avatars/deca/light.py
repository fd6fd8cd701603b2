"""Light as nine harmonic bands per colour (Ramamoorthi and Hanrahan 2001), in DECA's order."""

from math import pi, sqrt

import torch
from torch import Tensor

from dnr.shapes import check_shape

# Clamped cosine times harmonic, band by band; 3 * sqrt(5 / 12 pi) is sqrt(15 / 4 pi).
FACTORS = (
    1 / sqrt(4 * pi),
    *[2 * pi / 3 * sqrt(3 / (4 * pi))] * 3,
    *[pi / 4 * sqrt(15 / (4 * pi))] * 3,
    pi / 8 * sqrt(15 / (4 * pi)),
    pi / 8 * sqrt(5 / (4 * pi)),
)


def shading(normals: Tensor, light: Tensor) -> Tensor:  # [B, *, 3], [B, 9, 3] -> [B, *, 3]
    """Light that arrives on surfaces with these unit normals, per colour; may be negative."""
    check_shape("light", light, f"{len(normals)} 9 3")
    x, y, z = normals.unbind(dim=-1)
    bands = torch.stack(
        [torch.ones_like(x), x, y, z, x * y, x * z, y * z, x * x - y * y, 3 * z * z - 1], dim=-1
    )
    flat = (bands * bands.new_tensor(FACTORS)).flatten(1, -2)
    return (flat @ light).reshape(normals.shape)
