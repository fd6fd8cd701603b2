"""What mediapipe gets wrong, learnt from pictures of made-up people whose points are known.

Its marks stray from the head's points by amounts that depend on who is seen, from where, and doing
what: outlines slide, a raised chin hides itself, lips meet too late. Most of that can be told from
the marks themselves (assets/make_marks.py), which leaves a third less error and half the residual.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from avatars.shipped import shipped_file
from dnr.array_files import load_arrays

REACH = 3.0  # deviations of the made-up people: faces farther off are corrected as those there are


class MarkBias(NamedTuple):
    """A quadratic function of the shape that the marks make. N is twice 478."""

    reference: Tensor  # [478, 2], what shapes are laid onto; eye distance 1
    mean: Tensor  # [478, 2], of the shapes laid onto it
    axes: Tensor  # [N, K], from a shape's difference to the mean to so many unit-normal numbers
    weights: Tensor  # [1 + K + Q, N], from 1, these, and products of the first few, to the error


@cache
def mediapipe_bias() -> MarkBias:
    """What was learnt."""
    arrays = load_arrays(shipped_file("marks.npz"))
    return MarkBias(*(torch.from_numpy(arrays[name]).float() for name in MarkBias._fields))


def unbiased(points: Tensor, bias: MarkBias) -> Tensor:  # [T, 478, 2] pixels -> the same
    """Where the head's own points are, as far as can be told; frames with gaps stay as they are."""
    whole = points.isfinite().all(dim=2).all(dim=1)
    bias = MarkBias(*(field.to(points) for field in bias))
    upright, turn = upright_shapes(points[whole], bias.reference)
    numbers = ((upright - bias.mean).flatten(1) @ bias.axes).clamp(-REACH, REACH)
    error = (features(numbers, _squared(bias)) @ bias.weights).reshape_as(upright)
    corrected = points.clone()
    corrected[whole] -= error @ torch.linalg.inv(turn)
    return corrected


def features(numbers: Tensor, squared: int) -> Tensor:  # [T, K] -> [T, 1 + K + Q]
    """1, the numbers, and all products of the first `squared` of them."""
    one, other = torch.triu_indices(squared, squared)
    products = numbers[:, one] * numbers[:, other]
    return torch.cat([torch.ones_like(numbers[:, :1]), numbers, products], dim=1)


def upright_shapes(points: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:  # [T, 478, 2]
    """Shapes moved, turned and scaled onto the reference; and that turn and scale, [T, 2, 2]."""
    arms = points - points.mean(dim=1, keepdim=True)
    along = (arms * reference).sum(dim=(1, 2))
    across = (arms[..., 0] * reference[:, 1] - arms[..., 1] * reference[:, 0]).sum(dim=1)
    turn = torch.stack([along, across, -across, along], dim=1).reshape(-1, 2, 2)
    turn = turn / arms.square().sum(dim=(1, 2))[:, None, None]
    return arms @ turn, turn


def _squared(bias: MarkBias) -> int:
    """Of how many numbers there are products."""
    products = len(bias.weights) - 1 - bias.axes.shape[1]
    return int((np.sqrt(8 * products + 1) - 1) / 2)
