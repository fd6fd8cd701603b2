"""What a known head does in every frame: Gauss-Newton with bounds, all frames tied along time."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from avatars.heads.rotations import rotation_vectors
from avatars.tracking.chain import solve_chain, tie_forces
from avatars.tracking.normal import (
    Marks,
    Motions,
    misses,
    prior_force,
    robust_weights,
    step_within_bounds,
    weighted_rows,
)
from avatars.tracking.points import POSE, SHIFT_M, Lens, PointModel, Pose, motion_jacobian
from avatars.tracking.priors import Priors

WINDOW, OVERLAP = 256, 32
"""Frames solved together, and how many of them are solved again with more of the future."""
FREE_STEPS, TIED_STEPS = 4, 2
LEAST_TIE = 0.003  # of what points say: bridges frames without a face, and does nothing otherwise
CALM_OVER = 5  # frames over which the speed is averaged: noise cancels, motion does not
_HELD = 1e9  # stiffness of what must not move


def fit_motion(
    model: PointModel,
    identity: Tensor,  # [I]
    read: Callable[[slice], tuple[Marks, Motions]],  # marks, and first guesses, of some frames
    frames: int,
    lens: Lens,
    priors: Priors,
) -> Motions:
    """The motion of all frames, window by window: memory does not grow but for the result."""
    whole = no_motions(model.mean, frames, len(model.expression))
    settled = first = 0
    while True:
        known = min(first, 1)  # the last frame of the past, which is settled, leads the window
        window = slice(first - known, min(first + WINDOW, frames))
        marks, motions = read(window)
        keep(motions, slice(0, settled - window.start), whole.part(slice(window.start, settled)))
        solved = _fit_window(model, identity, motions, marks, lens, priors, known)
        keep(whole, window, solved)
        settled = window.stop
        if settled == frames:
            return whole
        first = settled - OVERLAP


def _fit_window(
    model: PointModel,
    identity: Tensor,
    motions: Motions,
    marks: Marks,
    lens: Lens,
    priors: Priors,
    known: int,
) -> Motions:
    calm = torch.zeros_like(changes(motions))
    for step in range(FREE_STEPS + TIED_STEPS):
        if step == FREE_STEPS:  # each frame has said its own by now
            calm = calmness(changes(motions), priors)
        points, off = misses(model, identity, motions, marks, lens)
        jacobian = motion_jacobian(model, identity, points, motions.gaze, motions.pose, lens)
        weights = robust_weights(off, marks.weights)
        rows, right = weighted_rows(jacobian, off, weights, marks.unit_px)
        blocks = rows.transpose(1, 2) @ rows + torch.diag(priors.ridge + 1e-6)
        force = (rows.transpose(1, 2) @ right[..., None])[..., 0]
        force = force + prior_force(motions.values(), priors)
        curvature = blocks.diagonal(dim1=1, dim2=2).mean(dim=0)
        ties = curvature * (LEAST_TIE + priors.tie * calm)
        force = force + tie_forces(changes(motions), ties)
        step = _chain_step(blocks.double(), ties.double(), force.double(), motions, priors, known)
        motions = motions.stepped(step, priors)
    return motions


def _chain_step(
    blocks: Tensor, ties: Tensor, force: Tensor, motions: Motions, priors: Priors, known: int
) -> Tensor:  # [T, P]
    """The best step of the whole chain; the first `known` frames are settled."""
    values = motions.values()

    def solve(held: Tensor, given: Tensor) -> Tensor:
        moved = force - (blocks @ given.double()[..., None])[..., 0]
        alone = blocks.masked_fill(held[:, :, None] | held[:, None, :], 0.0)
        alone = alone + torch.diag_embed(_HELD * held)
        right = torch.where(held, _HELD * given, moved)
        return solve_chain(alone, ties, right).to(values)

    return step_within_bounds(solve, values, force, priors, known)


def calmness(changes: Tensor, priors: Priors) -> Tensor:  # [T - 1, P]
    """1 where next to nothing moves over several frames, towards 0 where something does."""
    if not len(changes):
        return changes
    half = CALM_OVER // 2
    series = functional.pad(changes.T[None], (half, half), mode="replicate")
    speed = functional.avg_pool1d(series, CALM_OVER, stride=1).abs()
    speed = functional.max_pool1d(speed, 3, stride=1, padding=1)[0].T  # turning points move too
    return 1 / (1 + (speed / priors.give) ** 2) ** 2


def changes(motions: Motions) -> Tensor:  # [T - 1, P]
    """From each frame to the next."""
    rotation, translation = motions.pose
    turn = rotation_vectors(rotation[1:] @ rotation[:-1].transpose(1, 2))
    values = motions.values()[:, POSE:]
    return torch.cat([turn, translation.diff(dim=0) / SHIFT_M, values.diff(dim=0)], dim=1)


def no_motions(like: Tensor, frames: int, expressions: int) -> Motions:
    """Room for the motion of so many frames."""
    pose = Pose(like.new_zeros(frames, 3, 3), like.new_zeros(frames, 3))
    expression = like.new_zeros(frames, expressions)
    return Motions(pose, expression, like.new_zeros(frames, 2, 2))


def keep(motions: Motions, frames: slice, part: Motions) -> None:
    """Write `part` into its frames of `motions`."""
    for whole, piece in zip((*motions.pose, *motions[1:]), (*part.pose, *part[1:]), strict=True):
        whole[frames] = piece
