"""Gauss-Newton's normal equations for points on pictures, robust, with bounds."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from avatars.heads.rotations import rotation_matrices
from avatars.tracking.points import POSE, SHIFT_M, Lens, PointModel, Pose, posed_points, project
from avatars.tracking.priors import Priors

ROUNDS = 3  # of looking for coefficients that leave their bounds, in one step
OUTLIER = 2.0  # hundredths of the eye distance: beyond, errors count linearly (Huber)


class Motions(NamedTuple):
    """What the fit changes in T frames."""

    pose: Pose
    expression: Tensor  # [T, E]
    gaze: Tensor  # [T, 2, 2]

    def part(self, frames: slice | Tensor) -> Motions:
        """Some of the frames."""
        pose = Pose(self.pose.rotation[frames], self.pose.translation[frames])
        return Motions(pose, self.expression[frames], self.gaze[frames])

    def values(self) -> Tensor:  # [T, P]; pose as 0, since priors do not know where a head is
        """The numbers that priors and bounds are about."""
        pose = self.expression.new_zeros(len(self.expression), POSE)
        return torch.cat([pose, self.expression, self.gaze.flatten(1)], dim=1)

    def stepped(self, step: Tensor, priors: Priors) -> Motions:  # [T, P]
        """After a step, kept inside the bounds."""
        turn, shift = step[:, :3], step[:, 3:POSE]
        rotation = rotation_matrices(turn) @ self.pose.rotation
        pose = Pose(rotation, self.pose.translation + SHIFT_M * shift)
        values = (self.values() + step).clamp(priors.low, priors.high)[:, POSE:]
        expression, gaze = values.split([self.expression.shape[1], 4], dim=1)
        return Motions(pose, expression, gaze.reshape(-1, 2, 2))


class Marks(NamedTuple):
    """What a detector saw in T frames."""

    points: Tensor  # [T, 478, 2] in pixels, any finite number where the weight is 0
    weights: Tensor  # [T, 478]
    unit_px: Tensor  # [T], a hundredth of the eye distance


def misses(
    model: PointModel, identity: Tensor, motions: Motions, marks: Marks, lens: Lens
) -> tuple[Tensor, Tensor]:
    """The model's points [T, 478, 3], and how far off their projections are, [T, 478, 2]."""
    points = posed_points(model, identity, motions.expression, motions.gaze)
    seen = project(points, motions.pose, lens)
    return points, (seen - marks.points) / marks.unit_px[:, None, None]


def robust_weights(misses: Tensor, weights: Tensor) -> Tensor:  # [T, N, 2], [T, N] -> [T, N]
    """Huber's: the weight falls with the distance beyond `OUTLIER`."""
    return weights * (OUTLIER / misses.norm(dim=-1).clamp(min=OUTLIER))


def weighted_rows(
    jacobian: Tensor, misses: Tensor, weights: Tensor, unit_px: Tensor
) -> tuple[Tensor, Tensor]:  # [T, N, 2, P], [T, N, 2], [T, N], [T]
    """Rows [T, 2 N, P] and right sides [T, 2 N] of a plain least-squares problem."""
    root = weights.sqrt()[..., None]
    rows = jacobian * (root / unit_px[:, None, None])[..., None]
    return rows.flatten(1, 2), -(root * misses).flatten(1)


def prior_force(values: Tensor, priors: Priors) -> Tensor:  # [T, P]
    """Minus half the gradient of the priors; the sparse ones pull towards 0 from above only."""
    return -priors.ridge * values - priors.sparse / 2


def step_within_bounds(
    solve: Callable[[Tensor, Tensor], Tensor],
    values: Tensor,  # [T, P]
    force: Tensor,  # [T, P]
    priors: Priors,
    fixed: int = 0,  # so many leading frames stay as they are
) -> Tensor:  # [T, P]
    """The best step that keeps all values inside their bounds, by active sets.

    `solve(held, given)` is the best step with the coefficients in `held` [T, P] stepping by
    `given` [T, P]. Whatever a solution takes out of bounds is put on the bound, and the others
    make the best of that; simply cutting it off would leave them where they balanced it.
    """
    held = ((values <= priors.low) & (force < 0)) | ((values >= priors.high) & (force > 0))
    held[:fixed] = True
    given = torch.zeros_like(values)
    for _ in range(ROUNDS):
        step = solve(held, given)
        wanted = values + step
        out = ((wanted < priors.low) | (wanted > priors.high)) & ~held
        if not out.any():
            return step
        given = torch.where(out, wanted.clamp(priors.low, priors.high) - values, given)
        held = held | out
    return solve(held, given)
