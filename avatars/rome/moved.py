"""From what a tracked head does to the codes of a ROME portrait, without another network."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from avatars.deca.camera import project
from avatars.deca.networks import DecaCodes
from avatars.heads.rotations import rotation_matrices, rotation_vectors
from avatars.rome.framing import Square

_FLIP = torch.diag(torch.tensor([1.0, -1.0, -1.0]))  # FLAME's axes to a camera's


class Standing(NamedTuple):
    """How the portrait stands: what later frames are compared with."""

    codes: DecaCodes  # of the portrait, in its square
    square: Square
    pose: Tensor  # [3, 4], tracked head to camera in the portrait
    focal: float  # pixels of the portrait
    middle: Tensor  # [2], principal point
    eyes: Tensor  # [3], between the eyes in FLAME's frame, before the head turns
    root: Tensor  # [3], what the head turns about


def moved_codes(
    standing: Standing,
    expression: Tensor,  # [1, 50], added to the portrait's
    jaw: Tensor,  # [1, 3], added too
    pose: Tensor,  # [3, 4], tracked head to camera now
) -> DecaCodes:
    """Codes of the portrait's person who moved from its pose to this one.

    The point between the eyes goes where the tracked head has it; DECA's own estimate of the
    portrait stays the start, so that nothing jumps when nothing moves.
    """
    codes, square = standing.codes, standing.square
    axes = torch.eye(3)
    axes[0, :2] = square.right / square.right.norm()
    axes[1, :2] = square.down / square.down.norm()
    turn = axes @ pose[:, :3] @ standing.pose[:, :3].T @ axes.T  # in the square's axes
    start = rotation_matrices(codes.pose[0, :3])
    now = _FLIP @ turn @ _FLIP @ start
    scale = codes.camera[0, 0] * standing.pose[2, 3] / pose[2, 3]
    arm = standing.eyes - standing.root
    before = project((start @ arm + standing.root)[None, None], codes.camera)[0, 0, :2]
    places = torch.stack([_seen(standing, standing.pose), _seen(standing, pose)])
    inside = square.to_square(places)
    target = before + inside[1] - inside[0]
    middle = now @ arm + standing.root
    shift = torch.stack([target[0], -target[1]]) / scale - middle[:2]
    root = rotation_vectors(now)[None]
    return codes._replace(
        expression=codes.expression + expression,
        pose=torch.cat([root, codes.pose[:, 3:] + jaw], dim=1),
        camera=torch.cat([scale[None], shift])[None],
    )


def _seen(standing: Standing, pose: Tensor) -> Tensor:  # [2]
    """Where the tracked head's origin, between the eyes, is in the portrait's pixels."""
    return standing.focal * pose[:2, 3] / pose[2, 3] + standing.middle
