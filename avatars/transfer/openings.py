"""How far lids and lips are open, measured on geometry: exactly linear in the expression."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from avatars.heads.head import Head, at_rest, landmark_points

PAIRS = {  # mediapipe's numbers: upper, lower
    "right_eye": ((159, 145), (160, 144), (158, 153)),
    "left_eye": ((386, 374), (385, 380), (387, 373)),
    "mouth": ((13, 14), (82, 87), (312, 317)),
}
OUTER_CORNERS = (33, 263)
CLOSES = {"right_eye": "eyeBlinkRight", "left_eye": "eyeBlinkLeft", "mouth": "jawOpen"}
"""The expression that opens or closes each."""


class Opening(NamedTuple):
    """Of one person: in units of the distance between the outer corners of the eyes."""

    at_rest: Tensor  # []
    per_expression: Tensor  # [E]

    def of(self, expression: Tensor) -> Tensor:  # [T, E] -> [T]
        """Distance of upper from lower rim; negative where they cross."""
        return self.at_rest + expression @ self.per_expression


def eye_distance(head: Head, identity: Tensor) -> Tensor:  # [I] -> []
    """Between the outer corners of the eyes, metres as the head model counts them.

    One camera does not tell a small head nearby from a large one farther off, so this is the unit
    in which lengths of one person can be compared with another's.
    """
    rest = landmark_points(head, at_rest(head, identity)[None])[0]
    return (rest[OUTER_CORNERS[1]] - rest[OUTER_CORNERS[0]]).norm()


def face_size(head: Head, identity: Tensor) -> Tensor:  # [I] -> []
    """How large somebody's face is beside another's; only ratios mean anything.

    Fitted to one photo, the distance between the eyes and the extent of the whole face are each off
    by a per cent, which moves a face that travels by its own height visibly. Their mean is less so.
    """
    rest = landmark_points(head, at_rest(head, identity)[None])[0]
    extent = (rest - rest.mean(dim=0)).square().sum(dim=1).mean().sqrt()
    return (extent * eye_distance(head, identity)).sqrt()


def face_middle(head: Head, identity: Tensor) -> Tensor:  # [I] -> [3]
    """The mean of the landmarks at rest, in the head frame."""
    return landmark_points(head, at_rest(head, identity)[None])[0].mean(dim=0)


def openings(head: Head, identity: Tensor) -> dict[str, Opening]:  # [I]
    """The openings of one person, by the names in `PAIRS`."""
    rest = landmark_points(head, at_rest(head, identity)[None])[0]  # [478, 3]
    basis = landmark_points(head, head.expression)  # [E, 478, 3]
    unit = eye_distance(head, identity)
    found = {}
    for name, pairs in PAIRS.items():
        upper, lower = torch.tensor(pairs).T
        start = (rest[upper, 1] - rest[lower, 1]).mean() / unit
        change = (basis[:, upper, 1] - basis[:, lower, 1]).mean(dim=1) / unit
        found[name] = Opening(start, change)
    return found
