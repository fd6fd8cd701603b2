"""Courses without trembling: noise goes, blinks and jumps stay."""

import numpy as np
import torch

from avatars.heads.files import load_head
from avatars.heads.rotations import rotation_matrices, rotation_vectors
from avatars.tracking.normal import Motions
from avatars.tracking.points import Pose
from avatars.tracking.steady import _banded, smoothed, steadied

HEAD = load_head()


def test_courses_minimise_what_they_should(rng: np.random.Generator) -> None:
    """Against dense matrices: far below what counts as motion all bends cost the same."""
    course = np.cumsum(rng.normal(size=(30, 2)), axis=0)
    found = smoothed(course, 2.0, 1e9)
    bend = np.diff(np.eye(30), n=2, axis=0)
    size = [np.abs(bend @ x).mean() for x in (course, found)]
    assert size[1] < size[0] / 2
    line = np.stack([np.arange(30.0), 3 - 0.1 * np.arange(30)], axis=1)
    np.testing.assert_allclose(smoothed(line, 2.0, 1e9), line, atol=1e-9)
    costs = rng.uniform(0, 3, 28)
    system = np.eye(30) + bend.T @ np.diag(costs) @ bend
    np.testing.assert_allclose(_banded(costs, course), np.linalg.solve(system, course), atol=1e-9)


def test_a_jump_stays_where_it_is(rng: np.random.Generator) -> None:
    course = np.where(np.arange(60) < 30, 0.0, 1.0)[:, None] + rng.normal(0, 0.01, (60, 1))
    found = smoothed(course, 4.0, 0.1)
    np.testing.assert_allclose(found[28:32], course[28:32], atol=0.04)
    still = np.r_[2:26, 34:58]
    bends = [np.abs(np.diff(x[:, 0], n=2))[still].mean() for x in (course, found)]
    assert bends[1] < bends[0] / 3


def test_a_blink_is_kept_while_the_head_comes_to_rest(generator: torch.Generator) -> None:
    frames = 50
    turn = 0.002 * torch.randn(frames, 3, generator=generator)
    expression = torch.zeros(frames, len(HEAD.expression))
    lid = HEAD.names("eyeBlinkLeft")[0]
    expression[20:25, lid] = torch.tensor([0.4, 0.9, 1.0, 0.6, 0.2])
    shift = torch.tensor([[0.0, 0.0, 0.6]]).repeat(frames, 1)
    given = Motions(Pose(rotation_matrices(turn), shift), expression, torch.zeros(frames, 2, 2))
    steady = steadied(HEAD, given)
    assert (steady.expression[:, lid] - expression[:, lid]).abs().max() < 0.15
    left = rotation_vectors(steady.pose.rotation).diff(n=2, dim=0)[2:30].norm(dim=1).mean()
    assert left < turn.diff(n=2, dim=0)[2:30].norm(dim=1).mean() / 3
    eye = steady.pose.rotation @ steady.pose.rotation.transpose(1, 2)
    torch.testing.assert_close(eye, torch.eye(3).expand(frames, 3, 3), atol=1e-5, rtol=0)
