"""Where the points of a driven head are in the photo."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from avatars.heads.head import Motion, head_vertices
from avatars.oneshot.likeness import Likeness
from avatars.transfer.performance import Frame


class Shown(NamedTuple):
    """One frame of a head, in pixels of the photo."""

    points: Tensor  # [V, 2]
    depth: Tensor  # [V] metres before the camera
    calm: Tensor  # [V, 2]: as `points`, with the photo's lids and gaze, which eyes.py moves


def source_points(likeness: Likeness) -> Shown:
    """The head as the photo shows it."""
    points, depth = _projected(likeness, likeness.vertices(), likeness.head_to_camera)
    return Shown(points, depth, points)


def shown_points(likeness: Likeness, frame: Frame) -> Shown:
    """The head in a frame of what `transferred` made for this likeness."""
    head, nobody, rest = likeness.head, likeness.head.template[:0, 0], likeness.motion
    vertices = head_vertices(head, nobody, frame.motion)[0]
    turned = head_vertices(head, nobody, Motion(rest.expression, rest.gaze, frame.motion.neck))[0]
    change = (frame.motion.expression - rest.expression)[0]
    change = torch.where(likeness.is_lid, 0, change)
    moved = torch.tensordot(change, head.expression, dims=1)
    calm = turned + likeness.follows[:, None] * moved
    points, depth = _projected(likeness, vertices, frame.pose[0])
    return Shown(points, depth, _projected(likeness, calm, frame.pose[0])[0])


def _projected(
    likeness: Likeness, vertices: Tensor, pose: Tensor
) -> tuple[Tensor, Tensor]:  # [V, 3], [3, 4] -> [V, 2], [V]
    """Projections, each moved by what the fit missed there, turned and scaled with the head."""
    local = vertices @ pose[:, :3].T + pose[:, 3]
    depth = local[:, 2]
    lens, rest = likeness.lens, likeness.head_to_camera
    seen = lens.focal * local[:, :2] / depth[:, None] + local.new_tensor(lens.centre)
    turn = pose[:, :3] @ rest[:, :3].T
    grown = rest[2, 3] / pose[2, 3]
    return seen + likeness.miss @ (grown * turn[:2, :2]).T, depth
