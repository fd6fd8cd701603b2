"""Who it is: one shape for several frames, fitted together with what the head does in each."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from scipy.cluster.vq import kmeans2
from torch import Tensor

from avatars.detectors.faces import LEFT_EYE_OUTER, RIGHT_EYE_OUTER
from avatars.tracking.normal import (
    Marks,
    Motions,
    misses,
    prior_force,
    robust_weights,
    step_within_bounds,
    weighted_rows,
)
from avatars.tracking.points import Lens, PointModel, identity_jacobian, motion_jacobian
from avatars.tracking.priors import IDENTITY_RIDGE, Priors

KEY_FRAMES = 60
SIZE_DEVIATION = 0.03  # of the distance of people's eyes, counted as one coefficient
STEPS = 20
ENOUGH = 0.02  # a step of the identity below this ends the fit
_TRAITS = 12  # principal components that tell frames apart


class System(NamedTuple):
    """Normal equations of K frames that share one identity."""

    blocks: Tensor  # [K, P, P] of each frame's motion
    between: Tensor  # [K, P, I]
    common: Tensor  # [I, I]
    force: Tensor  # [K, P]
    pull: Tensor  # [I]


def key_frames(marks: Marks, usable: Tensor, count: int = KEY_FRAMES) -> Tensor:  # bool [T] -> [K]
    """Frames that differ in pose and expression: the middle ones of as many clusters."""
    chosen = usable.nonzero()[:, 0]
    if len(chosen) <= count:
        return chosen
    weights, points = marks.weights[chosen, ::4, None], marks.points[chosen, ::4]  # enough to tell
    centre = (weights * points).sum(dim=1) / weights.sum(dim=1).clamp(min=1e-6)
    shapes = (points - centre[:, None]) / marks.unit_px[chosen, None, None]
    flat = (weights.sqrt() * shapes).flatten(1).double().cpu().numpy()
    flat -= flat.mean(axis=0)
    _, _, axes = np.linalg.svd(flat.T @ flat, hermitian=True)
    traits = flat @ axes[:_TRAITS].T
    middles, member = kmeans2(traits, count, minit="++", rng=np.random.default_rng(0))
    distance = np.linalg.norm(traits - middles[member], axis=1)
    nearest = [
        members[distance[members].argmin()]
        for members in (np.nonzero(member == k)[0] for k in range(count))
        if len(members)
    ]
    return chosen[torch.from_numpy(np.sort(nearest)).to(chosen.device)]


def fit_identity(
    model: PointModel, start: Motions, marks: Marks, lens: Lens, priors: Priors
) -> tuple[Tensor, Motions]:
    """The identity [I] and the motion of all the frames given, each frame on its own."""
    motions = start
    identity = model.mean.new_zeros(len(model.identity))
    ridge = IDENTITY_RIDGE * len(marks.points)
    for _ in range(STEPS):
        motions, step = _joint_step(model, identity, motions, marks, lens, priors, ridge)
        identity = identity + step
        if step.norm() < ENOUGH:
            break
    return identity, motions


def _joint_step(
    model: PointModel,
    identity: Tensor,
    motions: Motions,
    marks: Marks,
    lens: Lens,
    priors: Priors,
    ridge: float,
) -> tuple[Motions, Tensor]:
    """The motions after one step, and the step [I] of the identity that goes with them."""
    points, off = misses(model, identity, motions, marks, lens)
    weights = robust_weights(off, marks.weights)
    by_motion = motion_jacobian(model, identity, points, motions.gaze, motions.pose, lens)
    by_identity = identity_jacobian(model, points, motions.gaze, motions.pose, lens)
    rows, right = weighted_rows(by_motion, off, weights, marks.unit_px)
    shared, _ = weighted_rows(by_identity, off, weights, marks.unit_px)
    force = (rows.transpose(1, 2) @ right[..., None])[..., 0]
    force = force + prior_force(motions.values(), priors)
    blocks = rows.transpose(1, 2) @ rows + torch.diag(priors.ridge + 1e-4)
    flat = shared.flatten(0, 1)
    prior = ridge * identity_prior(model)
    pull = flat.T @ right.flatten() - prior @ identity
    between = rows.transpose(1, 2) @ shared
    system = System(blocks, between, flat.T @ flat + prior, force, pull)
    step, shared_step = solve_system(system, motions.values(), priors)
    return motions.stepped(step, priors), shared_step


def solve_system(system: System, values: Tensor, priors: Priors) -> tuple[Tensor, Tensor]:
    """The best steps [K, P] of the frames inside their bounds, and that [I] of what they share."""
    blocks, between, common, force, pull = system
    shared_step = torch.zeros_like(pull)

    def solve(held: Tensor, given: Tensor) -> Tensor:
        nonlocal shared_step
        alone = blocks.masked_fill(held[:, :, None] | held[:, None, :], 0.0)
        moved = (force - (blocks @ given[..., None])[..., 0]).masked_fill(held, 0.0)
        rest = pull - (between * given[..., None]).sum(dim=(0, 1))
        step, shared_step = _schur(
            alone + torch.diag_embed(held.to(alone)),
            between.masked_fill(held[..., None], 0.0), common, moved, rest,
        )  # fmt: skip
        return step + given

    return step_within_bounds(solve, values, force, priors), shared_step


def identity_prior(model: PointModel) -> Tensor:  # [I, I]
    """What identities cost for each unit of `IDENTITY_RIDGE`."""
    return torch.eye(len(model.identity)).to(model.mean) + _same_size(model)


def _same_size(model: PointModel) -> Tensor:  # [I, I]
    """What a change of the eyes' distance costs, as coefficients of people do.

    A small head nearby looks like a large one farther off, and expressions, which are metres, are
    cheaper on the small one: without this heads would shrink.
    """
    across = model.mean[LEFT_EYE_OUTER] - model.mean[RIGHT_EYE_OUTER]
    grown = model.identity[:, LEFT_EYE_OUTER] - model.identity[:, RIGHT_EYE_OUTER]
    share = grown @ across / (across @ across)  # change of the distance, of itself, per coefficient
    return torch.outer(share, share) / SIZE_DEVIATION**2


def _schur(
    blocks: Tensor,  # [K, P, P]
    between: Tensor,  # [K, P, I]
    common: Tensor,  # [I, I]
    force: Tensor,  # [K, P]
    pull: Tensor,  # [I]
) -> tuple[Tensor, Tensor]:  # [K, P], [I]
    """The solution of a system that is block-diagonal but for the columns all frames share."""
    like = blocks
    blocks, between, common, force, pull = (
        x.double() for x in (blocks, between, common, force, pull)
    )
    solved = torch.linalg.solve(blocks, torch.cat([between, force[..., None]], dim=2))
    by_shared, alone = solved[..., :-1], solved[..., -1]
    reduced = common - (between.transpose(1, 2) @ by_shared).sum(dim=0)
    rest = pull - (between.transpose(1, 2) @ alone[..., None]).sum(dim=0)[:, 0]
    shared = torch.linalg.solve(reduced, rest)
    return (alone - by_shared @ shared).to(like), shared.to(like)
