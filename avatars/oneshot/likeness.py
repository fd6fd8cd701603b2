"""Who is in one photo: the head fitted to its landmarks, and how far the fit misses them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from avatars.detectors.faces import RIGHT_IRIS
from avatars.heads.head import Head, Motion, at_rest, head_vertices, landmark_points
from avatars.heads.rotations import rotation_vectors
from avatars.tracking.identity import fit_identity
from avatars.tracking.points import Lens, PointModel, point_model, posed_points, project
from avatars.tracking.priors import motion_priors, point_weights
from avatars.tracking.rough import at_rest as nothing_done
from avatars.tracking.rough import lens_for, marks_from
from avatars.transfer.limits import Limits
from avatars.transfer.neutral import FACING, Neutral, neck_joint
from avatars.transfer.openings import CLOSES, openings
from avatars.transfer.transfer import Person

STRICTER = 1.5
"""One photo tells less about a shape than sixty frames: coefficients cost this squared as much."""
SPREAD_M = 0.006  # over which the misses of landmarks are carried to the vertices around
TURN_RAD, ROLL_RAD = 0.30, 0.45  # turned out of the picture, and in it; soft beyond (limits.py)
FULLY_ASIDE_RAD, LEAST_BACK = 0.7, 0.25  # turned so far, so much of the way back is left
LEAST_SHIFT = 0.1  # heights of the face that it may leave the photo by, or move anyhow
NEARER = 0.25  # of its distance that a head may come nearer or go away


@dataclass(frozen=True)
class Likeness:
    """A head that agrees with one photo, in the photo's pixels."""

    head: Head  # this person's own: without identities
    identity: Tensor  # [I] in the head that was fitted
    motion: Motion  # one frame: how the photo looks
    head_to_camera: Tensor  # [3, 4]
    lens: Lens
    miss: Tensor  # [V, 2] pixels from a projected vertex to where the photo has it
    is_lid: Tensor  # [E] bool: expressions of the lids
    follows: Tensor  # [V] how much a vertex takes part in expressions; under hair it does not
    landmarks: np.ndarray  # [478, 2] as they were found
    size: tuple[int, int]  # (height, width) of the photo
    error: float  # median distance of landmarks, share of the eye distance

    def vertices(self) -> Tensor:  # [V, 3]
        """The head in its own frame, as the photo shows it."""
        return head_vertices(self.head, self.identity[:0], self.motion)[0]


def fit_likeness(head: Head, landmarks: np.ndarray, size: tuple[int, int]) -> Likeness:
    """Fit `head` to the landmarks [478, 2] of a face in a photo of `size` (height, width)."""
    model, lens = point_model(head), lens_for(size)
    priors, trust = motion_priors(head), point_weights(head)
    points = torch.from_numpy(np.asarray(landmarks, np.float32))[None]
    marks, pose = marks_from(model.mean, points, trust, lens)
    shrunk = _shrunk(model)
    identity, motions = fit_identity(shrunk, nothing_done(model, pose), marks, lens, priors)
    identity = identity / STRICTER
    fitted = posed_points(model, identity, motions.expression, motions.gaze)
    off = points - project(fitted, motions.pose, lens)
    motion = Motion(motions.expression, motions.gaze, torch.zeros(1, 3))
    pose3 = torch.cat([motions.pose.rotation[0], motions.pose.translation[0, :, None]], dim=1)
    error = float(off.norm(dim=-1)[0, :RIGHT_IRIS].median() / (100 * marks.unit_px[0]))
    miss = _spread(head, identity, motion, off[0])
    own = replace(head, template=at_rest(head, identity), identity=head.identity[:0])
    is_lid = torch.tensor([name.startswith("eye") for name in head.expression_names])
    follows = torch.ones(len(miss))
    landmarks = np.asarray(landmarks, np.float32)
    return Likeness(
        own, identity, motion, pose3, lens, miss, is_lid, follows, landmarks, size, error
    )


def person_of(head: Head, likeness: Likeness) -> Person:
    """Whom motion is put onto, in the head that was fitted: the photo is this person's rest."""
    identity, pose = likeness.identity, likeness.head_to_camera
    expression, gaze = likeness.motion.expression[0], likeness.motion.gaze[0]
    parts = openings(head, identity)
    eyes = list(CLOSES)[:2]
    lids = torch.stack([_lid_levels(float(parts[eye].of(expression[None]))) for eye in eyes])
    lips = float(parts["mouth"].of(expression[None]))
    neck = pose[:, :3] @ neck_joint(head, identity) + pose[:, 3]
    rest = Neutral(expression, gaze, pose[:, :3], neck, lids, lips)
    return Person(head, identity, rest, _limits(head, likeness))


def _shrunk(model: PointModel) -> PointModel:
    """The same shapes for larger coefficients, which the fit's prior holds back more."""
    return model._replace(
        identity=model.identity / STRICTER, eye_identity=model.eye_identity / STRICTER
    )


def _spread(head: Head, identity: Tensor, motion: Motion, off: Tensor) -> Tensor:  # [478, 2]
    """Misses at the landmarks, at the vertices: near ones count, and far away there is none."""
    rest = head_vertices(head, identity, motion)
    marks = landmark_points(head, rest)[0, :RIGHT_IRIS]  # [468, 3]
    near = torch.exp(-0.5 * (torch.cdist(rest[0], marks) / SPREAD_M) ** 2)
    return near @ off[:RIGHT_IRIS] / near.sum(dim=1, keepdim=True).clamp(min=0.5)


def _lid_levels(opening: float) -> Tensor:  # [2]
    """Opening of the lids when shut and when open."""
    return torch.tensor([0.0, max(opening, 0.02)])


def _limits(head: Head, likeness: Likeness) -> Limits:
    """Turns that a photo can follow, and shifts that keep the face inside of it."""
    turn = torch.tensor([TURN_RAD, TURN_RAD, ROLL_RAD])
    ends = torch.stack([-turn, turn])
    # A face that looks aside hides one cheek: turning back would show it.
    aside = rotation_vectors(likeness.head_to_camera[:, :3] @ FACING.to(turn).T)[:2]
    for axis, angle in enumerate(aside.tolist()):
        back = 0 if angle > 0 else 1
        ends[back, axis] *= max(1 - abs(angle) / FULLY_ASIDE_RAD, LEAST_BACK)
    expression = torch.stack([torch.full((len(head.expression),), end) for end in (-1.0, 1.2)])
    gaze = torch.stack([torch.full((2, 2), end) for end in (-0.5, 0.5)])
    depth = float(likeness.head_to_camera[2, 3])
    metres = depth / likeness.lens.focal
    low, high = likeness.landmarks.min(axis=0), likeness.landmarks.max(axis=0)
    least = LEAST_SHIFT * float(high[1] - low[1])
    before = [-max(float(gap), least) * metres for gap in low]
    after = [max(float(gap), least) * metres for gap in likeness.size[::-1] - high]
    place = torch.tensor([[*before, -NEARER * depth], [*after, NEARER * depth]])
    return Limits(expression, gaze, ends, place)
