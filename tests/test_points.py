"""The analytic Jacobians against autograd, and the points against the whole head."""

import torch
from torch import Tensor
from torch.autograd.functional import jacobian

from avatars.heads.files import load_head
from avatars.heads.head import Motion, head_vertices, landmark_points
from avatars.heads.rotations import rotation_matrices
from avatars.tracking.points import (
    SHIFT_M,
    Lens,
    Pose,
    identity_jacobian,
    motion_jacobian,
    point_model,
    posed_points,
    project,
)

LENS = Lens(700.0, (250.0, 230.0))
FRAMES = 2
HEAD = load_head().to(torch.zeros(0, dtype=torch.float64))
MODEL = point_model(HEAD)


def somebody(generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Pose]:
    """Identity, expression, gaze and pose."""

    def noise(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    turn = rotation_matrices(0.3 * noise(FRAMES, 3)) @ torch.diag(noise(0).new_tensor([1, -1, -1]))
    shift = torch.tensor([0.02, -0.03, 0.8], dtype=torch.float64) + 0.03 * noise(FRAMES, 3)
    expression = 0.4 * torch.rand(FRAMES, len(HEAD.expression), generator=generator).double()
    return noise(len(HEAD.identity)), expression, 0.3 * noise(FRAMES, 2, 2), Pose(turn, shift)


def test_points_are_those_of_the_whole_head(generator: torch.Generator) -> None:
    identity, expression, gaze, _ = somebody(generator)
    still_neck = torch.zeros(FRAMES, 3, dtype=torch.float64)
    vertices = head_vertices(HEAD, identity, Motion(expression, gaze, still_neck))
    expected = landmark_points(HEAD, vertices)
    points = posed_points(MODEL, identity, expression, gaze)
    torch.testing.assert_close(points, expected, rtol=0, atol=1e-9)


def test_jacobians_are_those_of_autograd(generator: torch.Generator) -> None:
    identity, expression, gaze, pose = somebody(generator)

    def picture(i: Tensor, turn: Tensor, shift: Tensor, e: Tensor, g: Tensor) -> Tensor:
        moved = Pose(rotation_matrices(turn) @ pose.rotation, pose.translation + SHIFT_M * shift)
        return project(posed_points(MODEL, i, e, g), moved, LENS)[:, ::29]

    zero = torch.zeros(FRAMES, 3, dtype=torch.float64)
    i, turn, shift, e, g = jacobian(picture, (identity, zero, zero, expression, gaze))
    each = torch.arange(FRAMES)
    parts = [part[each, :, :, each] for part in (turn, shift, e, g.flatten(-2))]
    points = posed_points(MODEL, identity, expression, gaze)
    ours = motion_jacobian(MODEL, identity, points, gaze, pose, LENS)
    torch.testing.assert_close(ours[:, ::29], torch.cat(parts, dim=-1), rtol=1e-7, atol=1e-6)
    ours = identity_jacobian(MODEL, points, gaze, pose, LENS)
    torch.testing.assert_close(ours[:, ::29], i, rtol=1e-7, atol=1e-6)
