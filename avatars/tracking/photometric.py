"""One frame against its picture: all evidence together, and motions corrected by it."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from avatars.heads.head import Head
from avatars.tracking.appearance import Sight, colours_at, predict, see
from avatars.tracking.evidence import (
    Person,
    Rows,
    View,
    colour_rows,
    edge_rows,
    head_shape,
    landmark_rows,
    stacked,
    view_camera,
)
from avatars.tracking.normal import Motions, prior_force, step_within_bounds
from avatars.tracking.priors import Priors

STEPS = 2
EVERY = 3  # rows and columns of the crop
PARTS = ("face", "eyelids", "lips")  # each may be covered by itself
LEAST_PIXELS = 12  # of a part that is judged
UNLIKE = 0.1  # mean difference of colours; wrinkles and stubble stay below, hands do not


class Compared(NamedTuple):
    """One picture against what is believed."""

    rows: Rows
    error: float  # mean difference of colours
    covered: float  # share of a part of the face that looks like something else


class Corrected(NamedTuple):
    """The result for one frame."""

    motions: Motions  # of one frame
    error: float
    covered: float


def compare(person: Person, motions: Motions, view: View, with_identity: bool = False) -> Compared:
    """Everything that one picture says."""
    camera = view_camera(motions, view.lens, view.image.shape[-1])
    vertices = head_shape(person.head, person.identity, person.offsets, motions)
    smooth = functional.avg_pool2d(view.image[None], 3, stride=1, padding=1)[0]
    sight = see(person.head, person.skin, vertices, camera, view.mask, EVERY)
    difference = predict(person.appearance, sight) - colours_at(smooth, sight)
    distance = difference.abs().mean(dim=1)
    colours = colour_rows(
        person, vertices, motions, sight, smooth, difference, view.lens, with_identity
    )
    edges = edge_rows(person, vertices, motions, camera, view, with_identity)
    marks = landmark_rows(person, motions, view, with_identity)
    is_seen = len(distance) > 0
    return Compared(
        stacked([colours, edges, marks]),
        float(distance.mean()) if is_seen else 0.0,
        _covered(person.head, sight, distance),
    )


def correct(person: Person, start: Motions, view: View, priors: Priors) -> Corrected:
    """The motion of one frame that explains its colours, its outline and its landmarks best."""
    motions, error, covered = start, 0.0, 0.0
    for _ in range(STEPS):
        (rows, _, right), error, covered = compare(person, motions, view)
        system = (rows.T @ rows + torch.diag(priors.ridge + 1e-4))[None]
        force = (rows.T @ right)[None] + prior_force(motions.values(), priors)
        motions = motions.stepped(_step(system, force, motions, priors), priors)
    return Corrected(motions, error, covered)


def _covered(head: Head, sight: Sight, distance: Tensor) -> float:  # [P]
    """The largest share of a part of the face that looks like something else."""
    unlike = (distance > UNLIKE).float()
    shares = [0.0]
    for name in PARTS:
        inside = head.regions[name][head.faces[sight.face]].all(dim=1)
        if int(inside.sum()) >= LEAST_PIXELS:
            shares.append(float(unlike[inside].mean()))
    return max(shares)


def _step(system: Tensor, force: Tensor, motions: Motions, priors: Priors) -> Tensor:  # [1, P]
    def solve(held: Tensor, given: Tensor) -> Tensor:
        alone = system.masked_fill(held[:, :, None] | held[:, None, :], 0.0)
        pushed = (force - (system @ given[..., None])[..., 0]).masked_fill(held, 0.0)
        step = torch.linalg.solve(alone + torch.diag_embed(held.to(alone)), pushed[..., None])
        return step[..., 0] + given

    return step_within_bounds(solve, motions.values(), force, priors)
