"""The fourth pass: shape, looks, pose and expression corrected by the pictures themselves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from avatars.heads.head import Head, Motion
from avatars.tracking.appearance import colours_at, learn_appearance, see, skin_faces
from avatars.tracking.chain import solve_separate_chains, tie_forces
from avatars.tracking.fitting import Fitted
from avatars.tracking.hair import fit_offsets
from avatars.tracking.motion import calmness, changes, keep, no_motions
from avatars.tracking.normal import Motions
from avatars.tracking.photometric import (
    Person,
    View,
    correct,
    head_shape,
    is_opening,
    view_camera,
)
from avatars.tracking.pictures import Picture, pictures
from avatars.tracking.points import GAZE, POSE, Lens, Pose
from avatars.tracking.priors import Priors, motion_priors
from dnr.footage import Footage
from dnr.geometry.cameras import join_cameras

KEYS = 24  # frames that looks and hair are learnt from
ROUNDS = 2


class Refined(NamedTuple):
    """What the pictures say."""

    offsets: Tensor  # [V]
    motions: Motions  # T frames
    error: Tensor  # [T], mean difference of colours
    covered: Tensor  # [T], share of the face that looks like something else


class Studio(NamedTuple):
    """The footage, seen through its crops."""

    footage: Footage
    crop: np.ndarray  # [T, 2, 3]
    size: int
    folder: Path  # with the masks
    lens: Lens  # of the whole frames

    def view(self, picture: Picture, like: Tensor) -> View:
        """A picture as tensors, with its camera."""
        matrix = self.crop[picture.number]
        scale, shift = float(matrix[0, 0]), matrix[:, 2]
        column, row = scale * np.array(self.lens.centre) + shift
        image = torch.from_numpy(picture.image).to(like) / 255
        mask = torch.from_numpy(picture.mask).to(like) / 255
        lens = Lens(scale * self.lens.focal, (float(column), float(row)))
        return View(image.permute(2, 0, 1), mask, lens)


def refine(head: Head, fitted: Fitted, studio: Studio, show: Callable[[int], object]) -> Refined:
    """Everything corrected; pictures are decoded twice and never kept but for the key frames."""
    priors = motion_priors(head)
    keys = fitted.keys[torch.linspace(0, len(fitted.keys) - 1, min(KEYS, len(fitted.keys))).long()]
    person = learn_person(head, fitted, studio, keys, priors)
    frames, like = len(fitted.miss), head.template
    whole = no_motions(like, frames, len(head.expression))
    holds = like.new_ones(frames, POSE + len(head.expression))
    error, covered = torch.zeros(frames), torch.zeros(frames)
    for picture in pictures(studio.footage, studio.crop, studio.size, studio.folder):
        frame = slice(picture.number, picture.number + 1)
        view = studio.view(picture, like)
        found = correct(person, fitted.motions.part(frame), view, priors)
        keep(whole, frame, found.motions)
        holds[frame] = found.holds
        error[frame], covered[frame] = found.error, found.covered
        show(picture.number + 1)
    return Refined(person.offsets, steadied(head, whole, holds, priors), error, covered)


def learn_person(
    head: Head, fitted: Fitted, studio: Studio, keys: Tensor, priors: Priors
) -> Person:
    """Hair and looks from the key frames, whose motions are corrected on the way."""
    like, wanted = head.template, set(keys.tolist())
    last = max(wanted)
    views: list[View] = []
    for picture in pictures(studio.footage, studio.crop, studio.size, studio.folder):
        if picture.number in wanted:
            views.append(studio.view(picture, like))
        if picture.number >= last:
            break
    starts = [fitted.motions.part(slice(k, k + 1)) for k in sorted(wanted)]
    masks = np.stack([(255 * view.mask).cpu().numpy() for view in views])
    skin, motions = skin_faces(head), starts
    for _ in range(ROUNDS):
        person = _person(head, fitted.identity, motions, views, masks, skin)
        motions = [
            correct(person, start, view, priors).motions
            for start, view in zip(starts, views, strict=True)
        ]
    return _person(head, fitted.identity, motions, views, masks, skin)


def _person(
    head: Head,
    identity: Tensor,
    motions: list[Motions],
    views: list[View],
    masks: np.ndarray,
    skin: Tensor,
) -> Person:
    """Hair and looks that go with these motions of the key frames."""
    size = masks.shape[-1]
    cameras = [view_camera(m, v.lens, size) for m, v in zip(motions, views, strict=True)]
    whole = joined(motions)
    still_neck = identity.new_zeros(len(motions), 3)
    motion = Motion(whole.expression, whole.gaze, still_neck)
    offsets = fit_offsets(head, identity, motion, join_cameras(cameras), masks)
    sights, colours = [], []
    for moved, view, camera in zip(motions, views, cameras, strict=True):
        vertices = head_shape(head, identity, offsets, moved)
        sight = see(head, skin, vertices, camera, view.mask)
        sights.append(sight)
        colours.append(colours_at(view.image, sight))
    return Person(head, skin, identity, offsets, learn_appearance(sights, colours))


def steadied(head: Head, motions: Motions, holds: Tensor, priors: Priors) -> Motions:  # [T, 6 + E]
    """The same, with what jitters where next to nothing moves averaged along time.

    Lids and mouths are where the landmarks' fit put them, which has averaged them already.
    """
    moves = changes(motions)
    calm = calmness(moves, priors)[:, :-GAZE]
    curvature = holds.mean(dim=0)
    ties = (curvature * priors.tie[:-GAZE] * calm).double()
    ties[:, POSE:][:, is_opening(head)] = 0
    right = tie_forces(moves[:, :-GAZE].double(), ties)
    step = solve_separate_chains(holds.double(), ties, right).to(motions.expression)
    gaze = step.new_zeros(len(step), GAZE)
    return motions.stepped(torch.cat([step, gaze], dim=1), priors)


def joined(motions: list[Motions]) -> Motions:
    """Single frames as one."""
    pose = Pose(
        torch.cat([m.pose.rotation for m in motions]),
        torch.cat([m.pose.translation for m in motions]),
    )
    expression = torch.cat([m.expression for m in motions])
    return Motions(pose, expression, torch.cat([m.gaze for m in motions]))


def on_device(fitted: Fitted, like: Tensor) -> Fitted:
    """The same where `like` is."""
    pose, expression, gaze = fitted.motions
    moved = Pose(pose.rotation.to(like), pose.translation.to(like))
    motions = Motions(moved, expression.to(like), gaze.to(like))
    return Fitted(fitted.identity.to(like), motions, fitted.miss, fitted.keys)
