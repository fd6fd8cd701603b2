"""How the head turns against a torso that nobody tracks: shoulders follow slowly."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from avatars.heads.rotations import rotation_vectors

FOLLOW_S = 1.5  # shoulders take up turns of the head that last so long
SHARE = 0.8  # of quick turns that the neck makes up for; the rest moves the shoulders


def neck_turns(rotation: Tensor, fps: float) -> Tensor:  # [T, 3, 3] head to camera -> [T, 3]
    """A guess, not a measurement: the head against the same head averaged over time."""
    reach = max(round(2 * FOLLOW_S * fps), 1)
    time = torch.arange(-reach, reach + 1).to(rotation)
    weights = torch.exp(-0.5 * (time / (FOLLOW_S * fps)) ** 2)
    series = rotation.flatten(1).T[:, None]  # [9, 1, T]
    padded = functional.pad(series, (reach, reach), mode="replicate")
    mean = functional.conv1d(padded, (weights / weights.sum())[None, None])[:, 0].T
    left, _, right = torch.linalg.svd(mean.reshape(-1, 3, 3))  # back to the nearest rotation
    torso = left @ right
    return SHARE * rotation_vectors(torso.transpose(1, 2) @ rotation)
