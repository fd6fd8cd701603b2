"""The second pass: from landmarks on disk to who it is and what the head does."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from avatars.heads.head import Head
from avatars.tracking.identity import fit_identity, key_frames
from avatars.tracking.landmarks import Landmarks
from avatars.tracking.motion import WINDOW, fit_motion
from avatars.tracking.normal import Marks, Motions, misses
from avatars.tracking.points import PointModel, point_model, rest_points
from avatars.tracking.priors import Priors, motion_priors
from avatars.tracking.rough import at_rest
from avatars.tracking.steady import steadied

CANDIDATES = 1500  # frames that key frames are chosen from


class Fitted(NamedTuple):
    """What landmarks say."""

    identity: Tensor  # [I]
    motions: Motions
    miss: Tensor  # [T], mean distance of the points, hundredths of the eye distance
    keys: Tensor  # [K] int64, the frames that identity was fitted to


def fit_track(head: Head, landmarks: Landmarks) -> Fitted:
    """Identity from key frames, then the motion of all frames, a stretch of the file at a time."""
    model, priors = point_model(head), motion_priors(head)
    identity, keys = _who(model, priors, landmarks)
    motions, miss = follow_person(head, identity, landmarks)
    return Fitted(identity, motions, miss, keys)


def follow_person(head: Head, identity: Tensor, landmarks: Landmarks) -> tuple[Motions, Tensor]:
    """The motion of somebody known, and how far the points are off in each frame."""
    model, priors = point_model(head), motion_priors(head)
    shape, _ = rest_points(model, identity)

    def read(part: slice) -> tuple[Marks, Motions]:
        marks, pose = landmarks.marks(shape, part)
        return marks, at_rest(model, pose)

    frames, lens = len(landmarks.looked.found), landmarks.lens
    free = fit_motion(model, identity, read, frames, lens, priors)
    motions = steadied(head, free)
    miss = []
    for start in range(0, frames, WINDOW):
        part = slice(start, start + WINDOW)
        marks, _ = read(part)
        _, off = misses(model, identity, motions.part(part), marks, lens)
        there = marks.weights > 0
        miss.append((off.norm(dim=-1) * there).sum(dim=1) / there.sum(dim=1).clamp(min=1))
    return motions, torch.cat(miss)


def _who(model: PointModel, priors: Priors, landmarks: Landmarks) -> tuple[Tensor, Tensor]:
    """The identity, and the numbers of the frames that it was fitted to."""
    seen = np.nonzero(landmarks.looked.found)[0]
    seen = seen[:: max(len(seen) // CANDIDATES, 1)]
    marks, pose = landmarks.marks(model.mean, seen)
    chosen = key_frames(marks, torch.ones(len(seen), dtype=torch.bool))
    key_marks = Marks(*(field[chosen] for field in marks))
    start = at_rest(model, pose).part(chosen)
    identity, _ = fit_identity(model, start, key_marks, landmarks.lens, priors)
    return identity, torch.from_numpy(seen)[chosen.cpu()]
