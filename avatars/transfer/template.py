"""LivePortrait's motion templates as driving motion: turns, lids and lips.

The rest of a template's expression is in numbers that only LivePortrait's own networks understand,
and where its head is was taken out by the crop that followed it: neither is carried over.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from avatars.formats.liveportrait import PortraitMotion, read_motion
from avatars.heads.head import Head, Motion, at_rest, landmark_points
from avatars.transfer.neutral import FACING, neck_joint
from avatars.transfer.openings import CLOSES, OUTER_CORNERS, openings
from avatars.transfer.performance import Performance
from dnr.errors import InputError

WIDTHS = {"right_eye": (33, 133), "left_eye": (362, 263), "mouth": (61, 291)}
"""What openings are divided by: corners of lids and lips, in mediapipe's numbers."""
AWAY_M = 0.5
"""Of the neck from the camera; any distance will do, as nothing of it is carried over."""
LEAST_FPS, MOST_FPS = 1.0, 240.0


def load_template(head: Head, path: Path) -> tuple[Performance, list[str]]:
    """What the template `path` says about a head of mean shape, and what it lacks, in sentences."""
    template = read_motion(path)
    if not LEAST_FPS <= template.fps <= MOST_FPS:
        raise InputError(f"{path} is to be played at {template.fps:g} frames a second; mend that")
    notes = [f"{path.name} drives turns of the head, lids and lips; only LivePortrait reads more"]
    if template.eye_opening is None or template.lip_opening is None:
        notes = [f"{path.name} has no openings of lids and lips: only turns of the head are driven"]
    return _performance(head, template), notes


def _performance(head: Head, template: PortraitMotion) -> Performance:
    frames, like = len(template.rotation), head.template
    identity = like.new_zeros(len(head.identity))
    # Stored for row vectors, in the camera's axes.
    rotation = template.rotation.transpose(1, 2) @ FACING
    place = torch.tensor([0.0, 0.0, AWAY_M]) - rotation @ neck_joint(head, identity)
    return Performance(
        head.name,
        identity,
        Motion(
            _expression(head, template), like.new_zeros(frames, 2, 2), like.new_zeros(frames, 3)
        ),
        torch.cat([rotation, place[..., None]], dim=2),
        torch.arange(frames).double() / template.fps,
        template.fps,
        torch.ones(frames, dtype=torch.bool),
    )


def _expression(head: Head, template: PortraitMotion) -> Tensor:  # [T, E]
    """Lids and jaw as open as the template says."""
    expression = head.template.new_zeros(len(template.rotation), len(head.expression))
    identity = head.template.new_zeros(len(head.identity))
    rest = landmark_points(head, at_rest(head, identity)[None])[0]
    eyes = (rest[OUTER_CORNERS[1]] - rest[OUTER_CORNERS[0]]).norm()
    parts = {"mouth": template.lip_opening}
    if template.eye_opening is not None:
        parts |= dict(zip(list(CLOSES)[:2], template.eye_opening.T, strict=True))
    own = openings(head, identity)
    for name, ratio in parts.items():
        if ratio is None:
            continue
        one, other = WIDTHS[name]
        wanted = ratio * (rest[other] - rest[one]).norm() / eyes
        (index,) = head.names(CLOSES[name])
        slope = own[name].per_expression[index]
        expression[:, index] = ((wanted - own[name].at_rest) / slope).clamp(-0.3, 1.2)
    return expression
