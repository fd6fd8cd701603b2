"""How somebody looks at rest, read off a clip channel by channel.

No single frame will do: the one with closed lips may have half-closed eyes, the frontal one may
look aside. So each channel is read where it can be: pose and gaze from frontal frames, how far the
eyes cross from where they do least, lids from where they are open, the mouth from where it is
closed and does least, brows from where they do.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from avatars.heads.head import Head, at_rest
from avatars.heads.rotations import rotation_matrices, rotation_vectors
from avatars.transfer.openings import CLOSES, openings
from avatars.transfer.performance import Performance

FACING = torch.tensor([1.0, -1.0, -1.0]).diag()
"""Head to camera when somebody looks straight into it."""
FRONTAL, CLOSED, LEAST, STRAIGHT = 0.3, 0.1, 0.3, 0.1
"""Shares of frames: the most frontal, the most closed mouths, and of those where least is done, or
where both eyes look most alike."""
OPEN, SHUT, LIPS_SHUT = 0.8, 0.005, 0.05
"""Quantiles of the lids' and the lips' opening. Blinks are rare: a few frames in a hundred."""
NEARLY_SHUT = 0.1
"""Of the open lids' opening, where a clip shows no blink: shut lids have no gap."""
REGIONS = {"eyes": ("eye", "cheekSquint"), "brows": ("brow",)}
"""Which expressions belong to which part of the face, by the start of their names; the rest is the
mouth's."""


@dataclass(frozen=True)
class Neutral:
    """One person at rest, and the levels between which lids and lips move."""

    expression: Tensor  # [E]
    gaze: Tensor  # [2, 2]
    rotation: Tensor  # [3, 3] head to camera
    neck: Tensor  # [3], place of the neck joint before the camera, metres
    lids: Tensor  # [2, 2]: right and left eye; opening when shut, when open
    lips: float  # opening of the closed mouth


def region_of(expression: str) -> str:
    """eyes, brows or mouth."""
    for region, starts in REGIONS.items():
        if expression.startswith(starts):
            return region
    return "mouth"


def neutral(head: Head, performance: Performance, frame: int | None = None) -> Neutral:
    """The rest of the person in `performance`; `frame` overrides the choice of frames."""
    seen = performance.frames(performance.found) if performance.found.any() else performance
    motion, rotations = seen.motion, seen.head_to_camera[:, :, :3]
    parts = openings(head, performance.identity)
    turned = rotation_vectors(FACING.to(rotations).T @ rotations)
    off_axis = turned[:, :2].norm(dim=1)  # rolling the head hides nothing
    frontal = _lowest(off_axis, FRONTAL)
    mouth = parts["mouth"].of(motion.expression)
    closed = _lowest(mouth, CLOSED)
    calm = {"eyes": frontal, "mouth": closed, "brows": frontal}
    if frame is not None:
        frontal = closed = torch.arange(len(seen)) == min(frame, len(seen) - 1)
        calm = dict.fromkeys(calm, frontal)
    else:
        for region in ("mouth", "brows"):
            names = [region_of(name) == region for name in head.expression_names]
            done = motion.expression[:, torch.tensor(names)].abs().sum(dim=1)
            calm[region] = _least_within(done, calm[region], LEAST)
    expression = torch.empty_like(motion.expression[0])
    for index, name in enumerate(head.expression_names):
        values = motion.expression[:, index]
        if name.startswith("eyeBlink") and frame is None:
            expression[index] = values.quantile(1 - OPEN)
        else:
            expression[index] = values[calm[region_of(name)]].median()
    eyes = [parts[eye].of(motion.expression) for eye in list(CLOSES)[:2]]
    rotation = rotation_matrices(turned[frontal].median(dim=0).values)
    return Neutral(
        expression,
        _resting_gaze(motion.gaze[frontal]),
        FACING.to(rotations) @ rotation,
        neck_places(head, seen)[frontal].median(dim=0).values,
        torch.stack([_lid_levels(eye, None if frame is None else frontal) for eye in eyes]),
        float(mouth[closed].median() if frame is not None else mouth.quantile(LIPS_SHUT)),
    )


def neck_places(head: Head, performance: Performance) -> Tensor:  # [T, 3]
    """Where the neck joint is before the camera. The head turns about it, so it moves least."""
    joint = neck_joint(head, performance.identity)
    pose = performance.head_to_camera
    return pose[:, :, :3] @ joint + pose[:, :, 3]


def neck_joint(head: Head, identity: Tensor) -> Tensor:  # [3]
    """The neck joint in the head frame."""
    return head.neck_joint @ at_rest(head, identity)


def _least_within(values: Tensor, chosen: Tensor, share: float) -> Tensor:  # [T], [T] -> [T] bool
    """Those of the chosen frames that have the lowest values of them."""
    return chosen & (values <= values[chosen].quantile(share))


def _lowest(values: Tensor, share: float) -> Tensor:  # [T] bool
    """The frames with the lowest values."""
    return values <= values.quantile(share)


def _lid_levels(opening: Tensor, at_rest: Tensor | None) -> Tensor:  # [T], [T] bool -> [2]
    """Opening when shut and when open: as in the frames of rest, if they are known. Clips without
    a blink do not tell the first: then it is a small share of the second."""
    wide = opening.quantile(OPEN) if at_rest is None else opening[at_rest].median()
    shut = torch.minimum(opening.quantile(SHUT), NEARLY_SHUT * wide)
    return torch.stack([shut, wide])


def _resting_gaze(gaze: Tensor) -> Tensor:  # [T, 2, 2] -> [2, 2]
    """Where both eyes look in the median; and how far apart where they do so least. Somebody who
    squints for fun, or in half of a clip, does not do it at rest."""
    apart = (gaze[:, 0] - gaze[:, 1]) / 2  # [T, 2]
    alike = _lowest(apart.norm(dim=1), STRAIGHT)
    half = apart[alike].median(dim=0).values
    return gaze.mean(dim=1).median(dim=0).values + torch.stack([half, -half])
