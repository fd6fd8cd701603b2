"""The fourth pass: shape, looks, pose and expression corrected by the pictures themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from avatars.heads.head import Head
from avatars.tracking.evidence import Person, View
from avatars.tracking.fitting import Fitted, follow_person
from avatars.tracking.landmarks import Landmarks
from avatars.tracking.likeness import learn_person
from avatars.tracking.motion import keep, no_motions
from avatars.tracking.normal import Marks, Motions
from avatars.tracking.photometric import correct
from avatars.tracking.pictures import Picture, pictures
from avatars.tracking.points import Lens, Pose, point_model, rest_points
from avatars.tracking.priors import Priors, motion_priors
from avatars.tracking.steady import steadied
from dnr.footage import Footage

KEYS = 18  # frames that identity, looks and hair are learnt from


class Refined(NamedTuple):
    """What the pictures say."""

    identity: Tensor  # [I]
    offsets: Tensor  # [V]
    motions: Motions  # T frames
    error: Tensor  # [T], mean difference of colours
    covered: Tensor  # [T], share of the face that looks like something else


class Studio(NamedTuple):
    """The footage, seen through its crops, and what landmarks say about it."""

    footage: Footage
    crop: np.ndarray  # [T, 2, 3]
    size: int
    folder: Path  # with the masks
    landmarks: Landmarks

    def view(self, picture: Picture, shape: Tensor) -> View:
        """A picture as tensors, with its camera; `shape` [478, 3] as for `Landmarks.marks`."""
        matrix = self.crop[picture.number]
        scale, shift = float(matrix[0, 0]), matrix[:, 2]
        whole = self.landmarks.lens
        column, row = scale * np.array(whole.centre) + shift
        image = torch.from_numpy(picture.image).to(shape) / 255
        mask = torch.from_numpy(picture.mask).to(shape) / 255
        lens = Lens(scale * whole.focal, (float(column), float(row)))
        seen, _ = self.landmarks.marks(shape, slice(picture.number, picture.number + 1))
        points = scale * seen.points + torch.from_numpy(shift).to(shape)
        return View(
            image.permute(2, 0, 1), mask, lens, Marks(points, seen.weights, scale * seen.unit_px)
        )

    def pictures(self) -> Iterator[Picture]:
        """All crops, in order."""
        return pictures(self.footage, self.crop, self.size, self.folder)


def refine(head: Head, fitted: Fitted, studio: Studio, show: Callable[[int], object]) -> Refined:
    """Everything corrected; pictures are decoded twice and never kept but for the key frames."""
    priors = motion_priors(head)
    person = _learn(head, fitted, studio, priors)
    starts, _ = follow_person(head, person.identity, studio.landmarks)
    shape, _ = rest_points(person.model, person.identity)
    frames, like = len(fitted.miss), head.template
    whole = no_motions(like, frames, len(head.expression))
    error, covered = torch.zeros(frames), torch.zeros(frames)
    for picture in studio.pictures():
        frame = slice(picture.number, picture.number + 1)
        found = correct(person, starts.part(frame), studio.view(picture, shape), priors)
        keep(whole, frame, found.motions)
        error[frame], covered[frame] = found.error, found.covered
        show(picture.number + 1)
    steady = steadied(head, whole, by_pictures=True)
    return Refined(person.identity, person.offsets, steady, error, covered)


def _learn(head: Head, fitted: Fitted, studio: Studio, priors: Priors) -> Person:
    """Who it is, from some of the landmarks' key frames."""
    chosen = torch.linspace(0, len(fitted.keys) - 1, min(KEYS, len(fitted.keys))).long()
    keys = sorted(set(fitted.keys[chosen].tolist()))
    shape, _ = rest_points(point_model(head), fitted.identity)
    views: list[View] = []
    for picture in studio.pictures():
        if picture.number in keys:
            views.append(studio.view(picture, shape))
        if picture.number >= keys[-1]:
            break
    return learn_person(
        head, fitted.identity, fitted.motions.part(torch.tensor(keys)), views, priors
    )


def on_device(fitted: Fitted, like: Tensor) -> Fitted:
    """The same where `like` is."""
    pose, expression, gaze = fitted.motions
    moved = Pose(pose.rotation.to(like), pose.translation.to(like))
    motions = Motions(moved, expression.to(like), gaze.to(like))
    return Fitted(fitted.identity.to(like), motions, fitted.miss, fitted.keys)
