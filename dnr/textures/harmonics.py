"""Real spherical harmonics of unit directions, as smooth inputs for what depends on direction."""

from __future__ import annotations

import torch
from torch import Tensor

MAX_DEGREE = 3


def harmonics(directions: Tensor, degree: int) -> Tensor:  # [*, 3] -> [*, (degree + 1) ** 2]
    """The orthonormal real basis up to `degree`, ordered (0,0), (1,-1), (1,0), (1,1), (2,-2), ...

    Signs carry no Condon-Shortley phase, so the first band is proportional to (y, z, x). Directions
    must have unit length; polynomials of other vectors come back unchecked.
    """
    if not 0 <= degree <= MAX_DEGREE:
        raise ValueError(f"degree must be 0 to {MAX_DEGREE}, got {degree}")
    x, y, z = directions.unbind(dim=-1)
    basis = [torch.full_like(x, 0.28209479177387814)]
    if degree >= 1:
        basis += [0.4886025119029199 * axis for axis in (y, z, x)]
    if degree >= 2:
        basis += [
            1.0925484305920792 * x * y,
            1.0925484305920792 * y * z,
            0.31539156525252005 * (3 * z * z - 1),
            1.0925484305920792 * x * z,
            0.5462742152960396 * (x * x - y * y),
        ]
    if degree >= 3:
        basis += [
            0.5900435899266435 * y * (3 * x * x - y * y),
            2.890611442640554 * x * y * z,
            0.4570457994644658 * y * (5 * z * z - 1),
            0.3731763325901154 * z * (5 * z * z - 3),
            0.4570457994644658 * x * (5 * z * z - 1),
            1.445305721320277 * z * (x * x - y * y),
            0.5900435899266435 * x * (x * x - 3 * y * y),
        ]
    return torch.stack(basis, dim=-1)


def reflect(view: Tensor, normal: Tensor) -> Tensor:  # [*, 3] each -> [*, 3]
    """The direction from which a mirror with this normal shows light to this view."""
    return 2 * (view * normal).sum(dim=-1, keepdim=True) * normal - view
