"""Identity, pose and motion recovered from points that the head itself made."""

import pytest
import torch
from torch import Tensor

from avatars.detectors.faces import LEFT_EYE_OUTER, RIGHT_EYE_OUTER
from avatars.heads.files import load_head
from avatars.heads.rotations import rotation_matrices, rotation_vectors
from avatars.tracking import motion as room
from avatars.tracking.identity import fit_identity, key_frames
from avatars.tracking.motion import fit_motion
from avatars.tracking.normal import Marks, Motions
from avatars.tracking.points import (
    Pose,
    point_model,
    posed_points,
    project,
    rest_points,
)
from avatars.tracking.priors import motion_priors, point_weights
from avatars.tracking.rough import at_rest, lens_for, marks_from

HEAD = load_head()
MODEL = point_model(HEAD)
PRIORS = motion_priors(HEAD)
LENS = lens_for((300, 400))


def talking(frames: int, generator: torch.Generator) -> tuple[Tensor, Motions, Tensor]:
    """Identity, smooth motion, and exact points in pixels."""
    time = torch.linspace(0, 6, frames)
    turn = torch.stack([0.1 * torch.cos(time), 0.25 * torch.sin(time), 0.05 * time.cos()], dim=1)
    rotation = rotation_matrices(turn) @ torch.diag(torch.tensor([1.0, -1, -1]))
    shift = torch.stack([0.01 * time.sin(), 0.02 + 0 * time, 0.7 + 0.02 * time.cos()], dim=1)
    identity = 0.7 * torch.randn(len(HEAD.identity), generator=generator)
    expression = torch.zeros(frames, len(HEAD.expression))
    for name, speed in (("jawOpen", 3.0), ("eyeBlinkLeft", 2.0), ("eyeBlinkRight", 2.0)):
        expression[:, HEAD.names(name)[0]] = 0.3 * torch.sin(speed * time).clamp(min=0) ** 2
    gaze = (0.2 * torch.sin(1.3 * time))[:, None, None].expand(-1, 2, 2).clone()
    pose = Pose(rotation, shift)
    points = project(posed_points(MODEL, identity, expression, gaze), pose, LENS)
    return identity, Motions(pose, expression, gaze), points


def degrees(one: Tensor, other: Tensor) -> Tensor:
    return rotation_vectors(one @ other.transpose(1, 2)).norm(dim=-1).rad2deg()


def test_a_first_pose_is_near(generator: torch.Generator) -> None:
    _, truth, points = talking(20, generator)
    points[7] = float("nan")
    marks, pose = marks_from(MODEL.mean, points, point_weights(HEAD), LENS)
    there = torch.arange(20) != 7
    assert degrees(pose.rotation, truth.pose.rotation)[there].max() < 12
    assert (pose.translation[:, 2] / truth.pose.translation[:, 2] - 1)[there].abs().max() < 0.25
    assert marks.weights[7].sum() == 0 and marks.points.isfinite().all()
    torch.testing.assert_close(pose.rotation[7], pose.rotation[6])


def test_few_points_count_as_much_as_many(generator: torch.Generator) -> None:
    _, _, points = talking(2, generator)
    points[1, ::2] = float("nan")
    marks, _ = marks_from(MODEL.mean, points, torch.ones(478), LENS)
    torch.testing.assert_close(marks.weights.sum(dim=1), torch.full((2,), 478.0))


def follow(identity: Tensor, points: Tensor) -> Motions:
    """The motion of somebody known."""
    shape, _ = rest_points(MODEL, identity)

    def read(frames: slice) -> tuple[Marks, Motions]:
        marks, pose = marks_from(shape, points[frames], point_weights(HEAD), LENS)
        return marks, at_rest(MODEL, pose)

    return fit_motion(MODEL, identity, read, len(points), LENS, PRIORS)


def fit(points: Tensor) -> tuple[Tensor, Motions]:
    """Who it is, and the motion."""
    marks, pose = marks_from(MODEL.mean, points, point_weights(HEAD), LENS)
    chosen = key_frames(marks, points.isfinite().all(dim=2).all(dim=1), 24)
    key_marks = Marks(*(field[chosen] for field in marks))
    start = at_rest(MODEL, pose).part(chosen)
    identity, _ = fit_identity(MODEL, start, key_marks, LENS, PRIORS)
    return identity, follow(identity, points)


def test_what_was_done_is_found_again(generator: torch.Generator) -> None:
    identity, truth, points = talking(60, generator)
    found, motions = fit(points)
    projected = project(posed_points(MODEL, found, *motions[1:]), motions.pose, LENS)
    width = (points[:, RIGHT_EYE_OUTER] - points[:, LEFT_EYE_OUTER]).norm(dim=-1).mean()
    assert (projected - points).norm(dim=-1).mean() / width < 0.006
    turned = motions.pose.rotation @ truth.pose.rotation.transpose(1, 2)
    spread = rotation_vectors(turned).rad2deg().std(dim=0)
    assert spread.max() < 1.0
    shapes = posed_points(MODEL, found, *motions[1:]), posed_points(MODEL, identity, *truth[1:])
    for upper, lower in ((13, 14), (159, 145)):  # lips, lids of the right eye
        gaps = torch.stack([(shape[:, upper] - shape[:, lower]).norm(dim=-1) for shape in shapes])
        assert torch.corrcoef(gaps)[0, 1] > 0.97
    pair = torch.stack([motions.gaze[:, 0, 0], truth.gaze[:, 0, 0]])
    assert torch.corrcoef(pair)[0, 1] > 0.97
    assert motions.expression.min() >= 0 and motions.expression.max() <= 1


def test_windows_join_without_a_seam(
    generator: torch.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity, _, points = talking(50, generator)
    points += 0.3 * torch.randn(points.shape, generator=generator)
    whole = follow(identity, points)
    monkeypatch.setattr(room, "WINDOW", 30)
    monkeypatch.setattr(room, "OVERLAP", 12)
    pieces = follow(identity, points)
    assert degrees(whole.pose.rotation, pieces.pose.rotation).max() < 0.4
    shapes = [posed_points(MODEL, identity, *motions[1:]) for motions in (whole, pieces)]
    one, other = project(shapes[0], whole.pose, LENS), project(shapes[1], pieces.pose, LENS)
    assert (one - other).norm(dim=-1).mean(dim=1).max() < 0.25


def test_noise_is_averaged_out_where_nothing_moves(generator: torch.Generator) -> None:
    identity, _, points = talking(1, generator)
    points = points + 0.4 * torch.randn(40, 478, 2, generator=generator)
    points += 0.5 * torch.randn(40, 1, 2, generator=generator)  # what all points share
    motions = follow(identity, points)
    projected = project(posed_points(MODEL, identity, *motions[1:]), motions.pose, LENS)
    raw, left = (x.diff(n=2, dim=0).norm(dim=-1).mean() for x in (points, projected))
    assert left < raw / 3


def test_a_gap_is_bridged(generator: torch.Generator) -> None:
    identity, truth, points = talking(60, generator)
    points[20:24] = float("nan")
    motions = follow(identity, points)
    assert degrees(motions.pose.rotation, truth.pose.rotation)[18:26].max() < 4
