"""The 478 points that detectors mark, as a function of identity, motion and pose, differentiated.

Written out instead of left to autograd: the fit needs whole Jacobians, of many frames at once.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from avatars.detectors.faces import LEFT_IRIS, NUM_POINTS, RIGHT_IRIS
from avatars.heads.head import Head, gaze_matrices, landmark_points
from avatars.heads.rotations import cross_matrices

POSE, GAZE = 6, 4
"""Columns: a turn about the camera's axes in radians, a shift in `SHIFT_M`; yaw, pitch twice."""
SHIFT_M = 0.1
_IRISES = (slice(RIGHT_IRIS, LEFT_IRIS), slice(LEFT_IRIS, NUM_POINTS))


class PointModel(NamedTuple):
    """A head reduced to its 478 points; linear but for the irises."""

    mean: Tensor  # [478, 3]
    identity: Tensor  # [I, 478, 3]
    expression: Tensor  # [E, 478, 3]
    eye_mean: Tensor  # [2, 3], where the eyeballs turn
    eye_identity: Tensor  # [I, 2, 3]


class Pose(NamedTuple):
    """Where the head is: `rotation @ point + translation` in the camera's axes, metres."""

    rotation: Tensor  # [T, 3, 3]
    translation: Tensor  # [T, 3]


class Lens(NamedTuple):
    """A pinhole with square pixels."""

    focal: float  # pixels
    centre: tuple[float, float]  # column, row


def point_model(head: Head) -> PointModel:
    """The points of `head`, in its dtype and on its device."""
    centres = torch.einsum("sv,ivc->isc", head.eye_centre, head.identity)
    return PointModel(
        landmark_points(head, head.template[None])[0],
        landmark_points(head, head.identity),
        landmark_points(head, head.expression),
        head.eye_centre @ head.template,
        centres,
    )


def rest_points(model: PointModel, identity: Tensor) -> tuple[Tensor, Tensor]:  # [I]
    """Somebody's points [478, 3] and eye centres [2, 3] without expression."""
    points = model.mean + torch.tensordot(identity, model.identity, dims=1)
    return points, model.eye_mean + torch.tensordot(identity, model.eye_identity, dims=1)


def posed_points(
    model: PointModel, identity: Tensor, expression: Tensor, gaze: Tensor
) -> Tensor:  # [I], [T, E], [T, 2, 2] -> [T, 478, 3]
    """The points in the head's own frame."""
    rest, eyes = rest_points(model, identity)
    points = rest + torch.tensordot(expression, model.expression, dims=1)
    turns = gaze_matrices(gaze)
    for side, irises in enumerate(_IRISES):
        arms = points[:, irises] - eyes[side]
        points[:, irises] = eyes[side] + arms @ turns[:, side].transpose(1, 2)
    return points


def project(points: Tensor, pose: Pose, lens: Lens) -> Tensor:  # [T, N, 3] -> [T, N, 2]
    """Columns and rows in pixels."""
    local = points @ pose.rotation.transpose(1, 2) + pose.translation[:, None]
    centre = local.new_tensor(lens.centre)
    return lens.focal * local[..., :2] / local[..., 2:] + centre


def motion_jacobian(
    model: PointModel, identity: Tensor, points: Tensor, gaze: Tensor, pose: Pose, lens: Lens
) -> Tensor:  # [I], [T, 478, 3], [T, 2, 2] -> [T, 478, 2, 6 + E + 4]
    """Change of the projections of `posed_points` with pose, expression and gaze, in that order."""
    by_local, turned = local_jacobian(points, pose, lens)
    by_turn = by_local @ -cross_matrices(turned)
    by_point = by_local @ pose.rotation[:, None]
    by_expression = torch.einsum("tnij,enj->tnie", by_point, model.expression)
    by_gaze = points.new_zeros(*by_point.shape[:3], GAZE)
    _, eyes = rest_points(model, identity)
    for side, irises in enumerate(_IRISES):
        axes, arms = _gaze_axes(gaze[:, side]), points[:, irises] - eyes[side]
        turning = torch.linalg.cross(axes[:, None], arms[:, :, None], dim=-1)  # [T, n, 2, 3]
        change = by_point[:, irises] @ turning.transpose(2, 3)
        by_gaze[:, irises, :, 2 * side : 2 * side + 2] = change
    return torch.cat([by_turn, SHIFT_M * by_local, by_expression, by_gaze], dim=-1)


def identity_jacobian(
    model: PointModel, points: Tensor, gaze: Tensor, pose: Pose, lens: Lens
) -> Tensor:  # [T, 478, 3], [T, 2, 2] -> [T, 478, 2, I]
    """Change of the projections of `posed_points` with the identity."""
    by_local, _ = local_jacobian(points, pose, lens)
    by_point = by_local @ pose.rotation[:, None]
    result = torch.einsum("tnij,knj->tnik", by_point, model.identity)
    turns = gaze_matrices(gaze)
    for side, irises in enumerate(_IRISES):
        centre = model.eye_identity[:, side]  # [I, 3]
        arms = model.identity[:, irises] - centre[:, None]
        moved = centre[:, None] + torch.einsum("tij,knj->tkni", turns[:, side], arms)
        result[:, irises] = torch.einsum("tnij,tknj->tnik", by_point[:, irises], moved)
    return result


def local_jacobian(points: Tensor, pose: Pose, lens: Lens) -> tuple[Tensor, Tensor]:
    """Change of the projections with points in the camera's axes [T, N, 2, 3]; turned points."""
    turned = points @ pose.rotation.transpose(1, 2)
    column, row, depth = (turned + pose.translation[:, None]).unbind(dim=-1)
    zero, scale = torch.zeros_like(depth), lens.focal / depth
    across = torch.stack([scale, zero, -scale * column / depth], dim=-1)
    down = torch.stack([zero, scale, -scale * row / depth], dim=-1)
    return torch.stack([across, down], dim=-2), turned


def _gaze_axes(gaze: Tensor) -> Tensor:  # [T, 2] -> [T, 2, 3]
    """About which axes of the head one eye turns with yaw and with pitch (gaze_matrices)."""
    yaw = gaze[:, 0]
    zero, one = torch.zeros_like(yaw), torch.ones_like(yaw)
    by_yaw = torch.stack([zero, one, zero], dim=-1)
    by_pitch = torch.stack([-yaw.cos(), zero, yaw.sin()], dim=-1)
    return torch.stack([by_yaw, by_pitch], dim=1)
