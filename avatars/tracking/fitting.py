"""The second pass: from landmarks on disk to who it is and what the head does."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from avatars.heads.head import Head
from avatars.tracking.identity import fit_identity, key_frames
from avatars.tracking.looking import Looked
from avatars.tracking.motion import WINDOW, fit_motion
from avatars.tracking.normal import Marks, Motions, misses
from avatars.tracking.points import Lens, PointModel, point_model, rest_points
from avatars.tracking.priors import Priors, motion_priors, point_weights
from avatars.tracking.rough import at_rest, marks_from

CANDIDATES = 1500  # frames that key frames are chosen from
BRIDGED = 0.1  # weight of points that were not seen but bridged


class Fitted(NamedTuple):
    """What landmarks say."""

    identity: Tensor  # [I]
    motions: Motions
    miss: Tensor  # [T], mean distance of the points, hundredths of the eye distance
    keys: Tensor  # [K] int64, the frames that identity was fitted to


def fit_track(head: Head, looked: Looked, lens: Lens) -> Fitted:
    """Identity from key frames, then the motion of all frames, a stretch of the file at a time."""
    model, priors, trust = point_model(head), motion_priors(head), point_weights(head)
    identity, keys = _who(model, priors, trust, looked, lens)
    shape, _ = rest_points(model, identity)

    def read(frames: slice) -> tuple[Marks, Motions]:
        points = torch.from_numpy(looked.landmarks[frames].copy()).to(shape)
        marks, pose = marks_from(shape, points, trust, lens)
        seen = torch.from_numpy(looked.found[frames]).to(shape.device)
        weights = torch.where(seen[:, None], marks.weights, BRIDGED * marks.weights)
        return marks._replace(weights=weights), at_rest(model, pose)

    frames = len(looked.found)
    motions = fit_motion(model, identity, read, frames, lens, priors)
    miss = []
    for start in range(0, frames, WINDOW):
        part = slice(start, start + WINDOW)
        marks, _ = read(part)
        _, off = misses(model, identity, motions.part(part), marks, lens)
        there = marks.weights > 0
        miss.append((off.norm(dim=-1) * there).sum(dim=1) / there.sum(dim=1).clamp(min=1))
    return Fitted(identity, motions, torch.cat(miss), keys)


def _who(
    model: PointModel, priors: Priors, trust: Tensor, looked: Looked, lens: Lens
) -> tuple[Tensor, Tensor]:
    """The identity, and the numbers of the frames that it was fitted to."""
    seen = np.nonzero(looked.found)[0]
    seen = seen[:: max(len(seen) // CANDIDATES, 1)]
    points = torch.from_numpy(looked.landmarks[seen]).to(model.mean)
    marks, pose = marks_from(model.mean, points, trust, lens)
    chosen = key_frames(marks, torch.ones(len(seen), dtype=torch.bool))
    key_marks = Marks(*(field[chosen] for field in marks))
    start = at_rest(model, pose).part(chosen)
    identity, _ = fit_identity(model, start, key_marks, lens, priors)
    return identity, torch.from_numpy(seen)[chosen.cpu()]
