"""Twelve movements that can be told from geometry: what faces do, in words a user would choose.

Single expression coefficients cannot be recovered from a face (many mixes look alike), these can:
distances between landmarks in parts of the distance between the eyes' outer corners, minus the
same person's at rest.
"""

from __future__ import annotations

import torch
from torch import Tensor

from avatars.heads.head import Head, Motion, at_rest, landmark_points

MOVEMENTS = (
    "jaw_open",
    "lips_wide",
    "lips_pucker",
    "lips_press",
    "smile",
    "brows_up",
    "brows_down",
    "blink_left",
    "blink_right",
    "gaze_yaw",
    "gaze_pitch",
    "tongue",
)
"""Columns of `movements`; angles in radians, the rest in outer-eye-corner distances."""

RIGHT_CORNER, LEFT_CORNER = 33, 263  # mediapipe's numbers, the subject's sides
INNER_RIGHT, INNER_LEFT = 133, 362
LIP_CORNERS = (61, 291)
INNER_LIPS = ((82, 87), (13, 14), (312, 317))  # upper and lower
OUTER_LIPS = ((37, 84), (0, 17), (267, 314))
CHIN, NOSE_BRIDGE, UNDER_NOSE = 152, 168, 2
RIGHT_LIDS = ((160, 144), (159, 145), (158, 153))
LEFT_LIDS = ((385, 380), (386, 374), (387, 373))
OUTER_BROWS, INNER_BROWS = (70, 63, 105, 334, 293, 300), (55, 107, 336, 285)
_SETTERS: dict[str, dict[str, float]] = {
    "jaw_open": {"jawOpen": 1.0},
    "lips_wide": {"mouthStretchLeft": 1.0, "mouthStretchRight": 1.0},
    "lips_pucker": {"mouthPucker": 1.0},
    "lips_press": {"mouthRollUpper": 0.7, "mouthRollLower": 0.7},
    "smile": {"mouthSmileLeft": 1.0, "mouthSmileRight": 1.0},
    "brows_up": {"browInnerUp": 1.0, "browOuterUpLeft": 1.0, "browOuterUpRight": 1.0},
    "brows_down": {"browDownLeft": 1.0, "browDownRight": 1.0},
    "blink_left": {"eyeBlinkLeft": 1.0},
    "blink_right": {"eyeBlinkRight": 1.0},
    "tongue": {"tongueOut": 1.0},
}


def movements(head: Head, identity: Tensor, motion: Motion) -> Tensor:  # [I] or [T, I] -> [T, 12]
    """How far each of MOVEMENTS goes in each frame, against the same person at rest."""
    rest = at_rest(head, identity)
    rest = rest if rest.ndim == 3 else rest[None]  # [1 or T, V, 3]
    change = landmark_points(head, head.expression)  # linear, and neither eyes nor neck matter
    rest_points = landmark_points(head, rest)
    points = rest_points + torch.tensordot(motion.expression, change, dims=1)
    inside = head.regions["tongue"]
    tongue = rest[:, inside] + torch.tensordot(motion.expression, head.expression[:, inside], 1)
    out = _tongue_out(points, tongue) - _tongue_out(rest_points, rest[:, inside])
    faces = point_movements(points, rest_points)
    return torch.cat([faces, motion.gaze.mean(dim=1), out[:, None]], dim=1)


def point_movements(points: Tensor, rest: Tensor) -> Tensor:  # [T, 478, 3], [1, 478, 3] -> [T, 9]
    """The first nine from landmarks alone, as a detector or another head gives them."""
    return _distances(points) - _distances(rest)


def set_movement(motion: Motion, head: Head, name: str, amount: float) -> Motion:
    """`motion` with one movement added to every frame, as a slider does; 1 is its full extent.

    Gaze takes radians. Coefficients stay within [0, 1].
    """
    if name in ("gaze_yaw", "gaze_pitch"):
        axis = ("gaze_yaw", "gaze_pitch").index(name)
        return motion._replace(gaze=motion.gaze + amount * torch.eye(2)[axis].to(motion.gaze))
    if name not in _SETTERS:
        raise ValueError(f"movement must be one of {MOVEMENTS}, got {name!r}")
    expression = motion.expression.clone()
    for word, share in _SETTERS[name].items():
        row = head.expression_names.index(word)
        expression[:, row] = (expression[:, row] + amount * share).clamp(0, 1)
    return motion._replace(expression=expression)


def _tongue_out(points: Tensor, tongue: Tensor) -> Tensor:  # [T, 478, 3], [T, *, 3] -> [T]
    """How far the tip is in front of the lower lip."""
    lip = points[:, [lower for _, lower in INNER_LIPS], 2].mean(dim=1)
    return (tongue[..., 2].amax(dim=1) - lip) / _length(points, RIGHT_CORNER, LEFT_CORNER)


def _distances(points: Tensor) -> Tensor:  # [T, 478, 3] -> [T, 9]
    eyes = _length(points, RIGHT_CORNER, LEFT_CORNER)
    down = _towards(points[:, CHIN] - points[:, NOSE_BRIDGE])
    front = _towards(torch.linalg.cross(down, points[:, LEFT_CORNER] - points[:, RIGHT_CORNER]))
    lips = points[:, [index for pair in INNER_LIPS for index in pair]].mean(dim=1)
    corners = points[:, LIP_CORNERS].mean(dim=1)
    width = _length(points, *LIP_CORNERS)
    lids = points[:, (RIGHT_CORNER, INNER_RIGHT, INNER_LEFT, LEFT_CORNER)].mean(dim=1)
    rows = [
        _length(points, UNDER_NOSE, CHIN),
        width,
        ((lips - corners) * front).sum(dim=-1) - width / 2,
        _gap(points, INNER_LIPS) - _gap(points, OUTER_LIPS),
        ((lips - corners) * down).sum(dim=-1) + width / 4,
        ((lids - points[:, OUTER_BROWS].mean(dim=1)) * down).sum(dim=-1),
        ((points[:, INNER_BROWS].mean(dim=1) - lids) * down).sum(dim=-1),
        -_gap(points, LEFT_LIDS),
        -_gap(points, RIGHT_LIDS),
    ]
    return torch.stack(rows, dim=1) / eyes[:, None]


def _length(points: Tensor, one: int, other: int) -> Tensor:  # [T]
    return (points[:, one] - points[:, other]).norm(dim=-1)


def _gap(points: Tensor, pairs: tuple[tuple[int, int], ...]) -> Tensor:  # [T]
    return torch.stack([_length(points, *pair) for pair in pairs]).mean(dim=0)


def _towards(vectors: Tensor) -> Tensor:  # [T, 3]
    return vectors / vectors.norm(dim=-1, keepdim=True)
