"""The FLAME head: blend shapes, pose correctives and linear blend skinning over five joints.

The formulas are those of Li et al. 2017, "Learning a model of facial shape and expression from 4D
scans", section 3. The published code adds 1e-8 to rotation vectors before it takes their length;
here rotations are exact, which moves vertices by less than a nanometre.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple

import torch
from torch import Tensor

from avatars.heads.rotations import rotation_matrices
from dnr.shapes import check_shape

VERTICES, FACES, JOINTS = 5023, 9976, 5
SHAPES, EXPRESSIONS = 300, 100
ROOT, NECK, JAW, LEFT_EYE, RIGHT_EYE = range(JOINTS)
PARENTS = (-1, ROOT, NECK, NECK, NECK)


@dataclass(frozen=True)
class Flame:
    """The arrays of a model file. x to the subject's left, y up, z out of the face; metres."""

    template: Tensor  # [V, 3]
    faces: Tensor  # [F, 3] int64
    shape: Tensor  # [300, V, 3]
    expression: Tensor  # [100, V, 3]
    pose_correctives: Tensor  # [36, V, 3], for the entries of R - I of the joints but the root
    joint_regressor: Tensor  # [5, V]
    skin_weights: Tensor  # [V, 5]

    def to(self, like: Tensor) -> Flame:
        """The same model on the device of `like` and its numbers in that dtype."""
        return Flame(
            *(
                value.to(like) if value.is_floating_point() else value.to(like.device)
                for value in (getattr(self, field.name) for field in fields(self))
            )
        )


class FlamePose(NamedTuple):
    """Rotations as axis and angle; each joint turns what hangs on it."""

    root: Tensor  # [B, 3]
    neck: Tensor  # [B, 3]
    jaw: Tensor  # [B, 3]
    eyes: Tensor  # [B, 2, 3], left, then right


def rest_pose(like: Tensor, batch: int = 1) -> FlamePose:
    """No rotation anywhere."""
    zero = like.new_zeros(batch, 3)
    return FlamePose(zero, zero, zero, like.new_zeros(batch, 2, 3))


def flame_vertices(
    flame: Flame,
    shape: Tensor,  # [B, at most 300]
    expression: Tensor,  # [B, at most 100]
    pose: FlamePose,
    offsets: Tensor | None = None,  # [V, 3] or [B, V, 3], added to the shape before it is posed
) -> tuple[Tensor, Tensor]:  # [B, V, 3], [B, 5, 3]
    """Vertices and joints; fewer coefficients than the model has leave the others at zero."""
    check_shape("root", pose.root, f"{len(shape)} 3")
    check_shape("eyes", pose.eyes, f"{len(shape)} 2 3")
    rest = flame.template + _blended(shape, flame.shape) + _blended(expression, flame.expression)
    joints = flame.joint_regressor @ rest  # [B, 5, 3]; the published model moves them as well
    if offsets is not None:
        rest = rest + offsets
    return skinned(flame, rest, joints, rotation_matrices(_vectors(pose)))


def flame_joints(
    flame: Flame, shape: Tensor, expression: Tensor, pose: FlamePose, joint: int
) -> tuple[Tensor, Tensor]:  # [B, 3, 3], [B, 3]
    """What `joint` does to points that only it moves: x -> turn x + shift."""
    rest = flame.template + _blended(shape, flame.shape) + _blended(expression, flame.expression)
    joints = flame.joint_regressor @ rest
    turn, place = _chained(rotation_matrices(_vectors(pose)), joints)
    shift = place[:, joint] - (turn[:, joint] @ joints[:, joint, :, None])[..., 0]
    return turn[:, joint], shift


def skinned(
    flame: Flame,
    rest: Tensor,  # [B, V, 3]
    joints: Tensor,  # [B, 5, 3], of `rest`
    rotations: Tensor,  # [B, 5, 3, 3], each in its parent's frame
) -> tuple[Tensor, Tensor]:  # [B, V, 3], [B, 5, 3]
    """A shape with its joints turned: correctives, then skinning."""
    excess = rotations[:, 1:] - torch.eye(3).to(rotations)
    posed = rest + torch.tensordot(excess.flatten(start_dim=1), flame.pose_correctives, dims=1)
    turn, place = _chained(rotations, joints)
    # Where a joint takes the origin, so that x -> turn x + shift is the whole motion.
    shift = place - (turn @ joints[..., None])[..., 0]
    turns = torch.einsum("vj,bjrc->bvrc", flame.skin_weights, turn)
    shifts = flame.skin_weights @ shift
    return (turns @ posed[..., None])[..., 0] + shifts, place


def _vectors(pose: FlamePose) -> Tensor:  # [B, 5, 3]
    return torch.stack([pose.root, pose.neck, pose.jaw, *pose.eyes.unbind(dim=1)], dim=1)


def _chained(rotations: Tensor, joints: Tensor) -> tuple[Tensor, Tensor]:
    """Each joint's rotation and position in the world."""
    turns, places = [rotations[:, ROOT]], [joints[:, ROOT]]
    for joint, parent in enumerate(PARENTS[1:], start=1):
        arm = joints[:, joint] - joints[:, parent]
        places.append(places[parent] + (turns[parent] @ arm[..., None])[..., 0])
        turns.append(turns[parent] @ rotations[:, joint])
    return torch.stack(turns, dim=1), torch.stack(places, dim=1)


def _blended(coefficients: Tensor, basis: Tensor) -> Tensor:  # [B, N], [M, V, 3] -> [B, V, 3]
    check_shape("coefficients", coefficients, "B N")
    if coefficients.shape[1] > len(basis):
        raise ValueError(
            f"coefficients must be at most {len(basis)}, got {coefficients.shape[1]} of them"
        )
    return torch.tensordot(coefficients, basis[: coefficients.shape[1]], dims=1)
