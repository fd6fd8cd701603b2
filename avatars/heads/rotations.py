"""Rotations as axis and angle, smooth at zero."""

import torch
from torch import Tensor


def rotation_matrices(vectors: Tensor) -> Tensor:  # [*, 3] -> [*, 3, 3]
    """Turns about each vector by its length in radians (Rodrigues), differentiable at zero."""
    squared = (vectors * vectors).sum(dim=-1)[..., None, None]
    small = squared < 1e-6
    safe = torch.where(small, torch.ones_like(squared), squared)
    angle = safe.sqrt()
    sine = torch.where(small, 1 - squared / 6, angle.sin() / angle)
    cosine = torch.where(small, 0.5 - squared / 24, (1 - angle.cos()) / safe)
    cross = cross_matrices(vectors)
    return torch.eye(3).to(vectors) + sine * cross + cosine * (cross @ cross)


def cross_matrices(vectors: Tensor) -> Tensor:  # [*, 3] -> [*, 3, 3]
    """What a cross product with each vector from the left does."""
    x, y, z = vectors.unbind(dim=-1)
    zero = torch.zeros_like(x)
    rows = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1)
    return rows.reshape(*vectors.shape, 3)


def rotation_vectors(matrices: Tensor) -> Tensor:  # [*, 3, 3] -> [*, 3]
    """The inverse of `rotation_matrices`, for angles of at most pi; not differentiable at pi."""
    twice_sine = torch.stack(
        [
            matrices[..., 2, 1] - matrices[..., 1, 2],
            matrices[..., 0, 2] - matrices[..., 2, 0],
            matrices[..., 1, 0] - matrices[..., 0, 1],
        ],
        dim=-1,
    )
    trace = matrices.diagonal(dim1=-2, dim2=-1).sum(dim=-1)
    length = twice_sine.norm(dim=-1)
    angle = torch.atan2(length, trace - 1)
    scale = torch.where(length < 1e-6, torch.full_like(angle, 0.5), angle / length.clamp(min=1e-6))
    return scale[..., None] * twice_sine
