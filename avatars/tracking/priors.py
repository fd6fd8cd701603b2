"""What is known before a picture is looked at: which movements are rare, small, or slow.

Units: the data term is in hundredths of the distance between the outer corners of the eyes,
squared, summed over the points. A ridge of 30 says that a coefficient of 1 costs as much as thirty
points of weight 1 that are off by one such hundredth.
"""

from __future__ import annotations

from math import inf
from typing import NamedTuple

import torch
from torch import Tensor

from avatars.detectors.faces import OVAL, RIGHT_IRIS
from avatars.heads.head import Head

IDENTITY_RIDGE = 1.0  # for each key frame
TRUSTED_SPREAD_M = 0.0015  # points that stray less than that on faces count fully
HOLD = 4.0  # averages over about twice the root of it, in frames, where little moves
_STIFF = ("tongueOut", "cheekPuff", "mouthClose", "jawForward", "jawLeft", "jawRight")


class Priors(NamedTuple):
    """One value for each column of `motion_jacobian`."""

    ridge: Tensor  # [P], cost of the square
    sparse: Tensor  # [P], cost of the absolute value
    low: Tensor  # [P], bounds
    high: Tensor  # [P]
    tie: Tensor  # [P], cost of a change between frames, in multiples of what points say of it
    give: Tensor  # [P], the speed, in columns per frame, at which a tie holds a quarter


def motion_priors(head: Head) -> Priors:
    """Strong on mouth and brows, whose shapes stand in for each other; weak on lids."""
    turn, shift = (0, 0, -inf, inf, HOLD, 0.003), (0, 0, -inf, inf, HOLD, 0.003)
    far = (0, 0, -inf, inf, HOLD, 0.02)  # depth is the noisiest
    yaw, pitch = (0.5, 0, -0.8, 0.8, HOLD, 0.02), (0.5, 0, -0.6, 0.6, HOLD, 0.02)
    expressions = [_expression_prior(name) for name in head.expression_names]
    rows = [*3 * [turn], shift, shift, far, *expressions, yaw, pitch, yaw, pitch]
    return Priors(*torch.tensor(rows).to(head.template).unbind(dim=1))


def _expression_prior(name: str) -> tuple[float, ...]:
    if name in _STIFF:
        return 450, 45, 0, 1, HOLD, 0.03
    if name.startswith("eye"):
        return 1, 0.2, 0, 1, HOLD, 0.03
    if name.startswith("brow"):
        return 3, 1, 0, 1, HOLD, 0.03
    if name == "jawOpen":
        return 30, 5, 0, 1, HOLD, 0.03
    return 90, 15, 0, 1, HOLD, 0.03  # else lips that roll in would pass for a jaw that closes


def point_weights(head: Head) -> Tensor:  # [478]
    """How far each point can be trusted, 1 for an ordinary one."""
    weights = 1 / (1 + (head.landmark_spread / TRUSTED_SPREAD_M) ** 2)
    corners = head.faces[head.landmark_faces]  # [478, 3]
    for region in ("lips", "eyelids"):
        weights = torch.where(head.regions[region][corners].all(dim=1), 3 * weights, weights)
    weights[list(OVAL)] *= 0.7  # an outline slides over the skin when the head turns
    weights[RIGHT_IRIS:] = 1.0
    return weights
