"""A head as a linear model: identity and expression move vertices, gaze and neck rotate them.

Head frame: metres, x to the subject's left, y up, z out of the face, the origin between the
centres of the eyes. Pairs are the subject's right, then left, as in mediapipe's numbering.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from avatars.heads.rotations import rotation_matrices
from dnr.geometry.meshes import Mesh
from dnr.shapes import check_shape


@dataclass(frozen=True)
class Head:
    """Everybody's head, in one topology. Weights and masks are rows over its V vertices."""

    name: str
    template: Tensor  # [V, 3], the mean head at rest
    identity: Tensor  # [I, V, 3], scaled so that coefficients of people are unit-normal
    expression: Tensor  # [E, V, 3], each at its full extent for a coefficient of 1
    expression_names: tuple[str, ...]  # E, in ARKit's words (arkit.py)
    faces: Tensor  # [F, 3] int64
    uv: Tensor  # [U, 2]
    uv_faces: Tensor  # [F, 3] int64, rows of `uv`
    mirror: Tensor  # [V] int64, the vertex on the other side
    landmark_faces: Tensor  # [478] int64: mediapipe's points, the irises' last ten on the eyeballs
    landmark_bary: Tensor  # [478, 3]
    landmark_spread: Tensor  # [478], metres: how far a detector's point strays from ours
    eye_centre: Tensor  # [2, V], weights that sum to 1: where the eyeballs turn
    neck_joint: Tensor  # [V], weights that sum to 1: where the head turns against the torso
    torso: Tensor  # [V], 0 what moves with the head to 1 what stays with the torso
    regions: dict[str, Tensor]  # [V] bool; they overlap where parts meet
    """On the skin face, lips, eyelids, ears, scalp (where hair swells), neck, shoulders; inside
    mouth, tongue, upper_teeth, lower_teeth; of each side right_ and left_ eyeball and socket."""

    def to(self, like: Tensor) -> Head:
        """The same head on the device of `like` and its numbers in that dtype."""
        moved = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Tensor):
                moved[field.name] = _like(value, like)
        regions = {name: mask.to(like.device) for name, mask in self.regions.items()}
        return replace(self, regions=regions, **moved)

    def names(self, *expressions: str) -> list[int]:
        """Rows of `expression` with these names."""
        return [self.expression_names.index(name) for name in expressions]


class Motion(NamedTuple):
    """What a head does, frame by frame."""

    expression: Tensor  # [T, E], 0 at rest to 1
    gaze: Tensor  # [T, 2, 2], yaw to the subject's left and pitch upwards of each eye, radians
    neck: Tensor  # [T, 3], axis and angle of the head against the torso; 0 where not tracked


def still(head: Head, frames: int = 1) -> Motion:
    """No motion at all."""
    like = head.template
    return Motion(
        like.new_zeros(frames, len(head.expression)),
        like.new_zeros(frames, 2, 2),
        like.new_zeros(frames, 3),
    )


def head_vertices(
    head: Head,
    identity: Tensor,  # [I], or [T, I]
    motion: Motion,
    offsets: Tensor | None = None,  # [V], metres along the normals at rest: hair, clothes
) -> Tensor:  # [T, V, 3]
    """The head in its own frame. Differentiable; linear but for gaze and neck."""
    check_shape("expression", motion.expression, f"T {len(head.expression)}")
    rest = at_rest(head, identity, offsets)  # [V, 3] or [T, V, 3]
    moved = rest + torch.tensordot(motion.expression, head.expression, dims=1)
    moved = _turn_eyes(head, rest, moved, motion.gaze)
    return _turn_torso(head, rest, moved, motion.neck)


def at_rest(
    head: Head, identity: Tensor, offsets: Tensor | None = None
) -> Tensor:  # [I] -> [V, 3], or [T, I] -> [T, V, 3]
    """Somebody's head without expression."""
    if identity.shape[-1] != len(head.identity):
        raise ValueError(
            f"identity must have {len(head.identity)} coefficients, got {identity.shape[-1]}"
        )
    shape = head.template + torch.tensordot(identity, head.identity, dims=1)
    if offsets is None:
        return shape
    return shape + offsets[:, None] * vertex_normals(shape, head.faces)


def landmark_points(head: Head, rows: Tensor) -> Tensor:  # [N, V, 3] -> [N, 478, 3]
    """The points that detectors mark: of vertices, or of a basis, since this is linear."""
    corners = rows[:, head.faces[head.landmark_faces]]  # [N, 478, 3, 3]
    return (corners * head.landmark_bary[:, :, None]).sum(dim=2)


def head_mesh(head: Head, vertices: Tensor) -> Mesh:  # [V, 3]
    """One frame as a mesh that the rasterizer takes; normals are smooth across texture seams."""
    return Mesh(vertices, head.faces, head.uv, head.uv_faces, head.faces)


def vertex_normals(vertices: Tensor, faces: Tensor) -> Tensor:  # [*, V, 3]
    """Unit normals, area-weighted means of the faces around; out of the closed surface."""
    a, b, c = (vertices[..., faces[:, corner], :] for corner in range(3))
    weighted = torch.linalg.cross(b - a, c - a, dim=-1)
    total = torch.zeros_like(vertices)
    for corner in range(3):
        total = total.index_add(-2, faces[:, corner], weighted)
    return functional.normalize(total, dim=-1)


def gaze_matrices(gaze: Tensor) -> Tensor:  # [*, 2] -> [*, 3, 3]
    """Rotations that take z to where the eye looks: first pitch about x, then yaw about y."""
    yaw, pitch = gaze.unbind(dim=-1)
    zero = torch.zeros_like(yaw)
    upwards = rotation_matrices(torch.stack([-pitch, zero, zero], dim=-1))
    sideways = rotation_matrices(torch.stack([zero, yaw, zero], dim=-1))
    return sideways @ upwards


def _turn_eyes(head: Head, rest: Tensor, moved: Tensor, gaze: Tensor) -> Tensor:
    turns = gaze_matrices(gaze) - torch.eye(3).to(gaze)
    for side, name in enumerate(("right_eyeball", "left_eyeball")):
        mask = head.regions[name]
        centre = head.eye_centre[side] @ rest  # [3] or [T, 3]
        arms = moved[:, mask] - centre.reshape(-1, 1, 3)
        change = arms @ turns[:, side].transpose(1, 2)
        moved = moved.index_add(1, mask.nonzero()[:, 0], change)
    return moved


def _turn_torso(head: Head, rest: Tensor, moved: Tensor, neck: Tensor) -> Tensor:
    """Seen from the head it is the torso that turns, the other way."""
    turn = rotation_matrices(-neck) - torch.eye(3).to(neck)  # [T, 3, 3]
    joint = (head.neck_joint @ rest).reshape(-1, 1, 3)
    return moved + head.torso[:, None] * ((moved - joint) @ turn.transpose(1, 2))


def _like(value: Tensor, like: Tensor) -> Tensor:
    return value.to(like) if value.is_floating_point() else value.to(like.device)
