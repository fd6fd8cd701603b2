"""Who it is, by the pictures: shape, hair and looks that explain several frames together."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from avatars.heads.head import Head, Motion
from avatars.tracking.appearance import colours_at, learn_appearance, see, skin_faces
from avatars.tracking.evidence import Person, View, head_shape, landmark_shares, view_camera
from avatars.tracking.hair import fit_offsets
from avatars.tracking.identity import System, identity_prior, solve_system
from avatars.tracking.normal import Motions, prior_force
from avatars.tracking.photometric import compare
from avatars.tracking.points import point_model
from avatars.tracking.priors import IDENTITY_RIDGE, Priors
from dnr.geometry.cameras import join_cameras

ROUNDS = 3  # of taking turns between looks and shape


def learn_person(
    head: Head, identity: Tensor, motions: Motions, views: list[View], priors: Priors
) -> Person:  # [I], K frames
    """Shape, hair and looks in turns with what the head does in the frames given.

    The texture of all frames together is compared with each of them: a shape is wrong where what
    lies on the skin moves otherwise than the skin when the head turns.
    """
    offsets = None
    for _ in range(ROUNDS):
        person = _with_looks(head, identity, offsets, motions, views)
        motions, step = _joint_step(person, motions, views, priors)
        identity, offsets = identity + step, person.offsets
    return _with_looks(head, identity, offsets, motions, views)


def _joint_step(
    person: Person, motions: Motions, views: list[View], priors: Priors
) -> tuple[Motions, Tensor]:
    """The motions after one step, and the step [I] of the identity that goes with them."""
    prior = IDENTITY_RIDGE * len(views) * identity_prior(person.model)
    common, pull = prior, -prior @ person.identity
    blocks, between, force = [], [], []
    for number, view in enumerate(views):
        rows = compare(person, motions.part(slice(number, number + 1)), view, True).rows
        moved, shared, right = rows
        assert shared is not None
        blocks.append(moved.T @ moved + torch.diag(priors.ridge + 1e-4))
        between.append(moved.T @ shared)
        force.append(moved.T @ right)
        common = common + shared.T @ shared
        pull = pull + shared.T @ right
    force = torch.stack(force) + prior_force(motions.values(), priors)
    system = System(torch.stack(blocks), torch.stack(between), common, force, pull)
    step, shared_step = solve_system(system, motions.values(), priors)
    return motions.stepped(step, priors), shared_step


def _with_looks(
    head: Head, identity: Tensor, offsets: Tensor | None, motions: Motions, views: list[View]
) -> Person:
    """Hair and looks that go with this shape and these motions; `offsets` are from before."""
    size = views[0].image.shape[-1]
    frames = [motions.part(slice(k, k + 1)) for k in range(len(views))]
    cameras = [view_camera(m, v.lens, size) for m, v in zip(frames, views, strict=True)]
    masks = np.stack([(255 * view.mask).cpu().numpy() for view in views])
    still_neck = identity.new_zeros(len(views), 3)
    motion = Motion(motions.expression, motions.gaze, still_neck)
    offsets = fit_offsets(head, identity, motion, join_cameras(cameras), masks, offsets)
    skin, sights, colours = skin_faces(head), [], []
    for moved, view, camera in zip(frames, views, cameras, strict=True):
        vertices = head_shape(head, identity, offsets, moved)
        sight = see(head, skin, vertices, camera, view.mask)
        sights.append(sight)
        colours.append(colours_at(view.image, sight))
    looks = learn_appearance(sights, colours)
    shares = landmark_shares(head)
    return Person(head, point_model(head), skin, identity, offsets, looks, shares)
