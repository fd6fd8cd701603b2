"""A few numbers that say what the face does, for texture and network to react to.

They are measured on geometry, because single coefficients of a tracked head mean little: the main
directions in which the face's points moved in training, and gaze. Where the head is in the picture
is not among them, so the avatar cannot grow used to it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from avatars.heads.head import Head, Motion, landmark_points

DIRECTIONS, GAZE = 12, 4
LENGTH = DIRECTIONS + GAZE
FARTHEST = 2.5
"""In standard deviations of training: beyond, the network would guess."""


class Code(nn.Module):
    def __init__(self, expressions: int) -> None:
        super().__init__()
        self.middle = nn.Buffer(torch.zeros(expressions))
        self.directions = nn.Buffer(torch.zeros(expressions, DIRECTIONS))
        self.gaze_middle = nn.Buffer(torch.zeros(GAZE))
        self.gaze_spread = nn.Buffer(torch.ones(GAZE))

    @torch.no_grad()
    def fit(self, head: Head, motion: Motion) -> None:
        """Take the main directions of `motion`."""
        points = landmark_points(head, head.expression)  # [E, 478, 3]
        middle = motion.expression.mean(dim=0)
        # Moments over expressions first: as many points times frames would not fit into memory.
        deviation = motion.expression - middle
        covariance = deviation.T @ deviation / max(len(deviation) - 1, 1)  # [E, E]
        flat = points.flatten(1)  # [E, 1434]
        root = _root(covariance)  # root @ root = covariance
        _, spread, axes = torch.linalg.svd(root @ flat, full_matrices=False)
        count = min(DIRECTIONS, len(spread))
        scale = spread[:count].clamp(min=1e-4 * float(spread[0]) + 1e-9)
        self.middle.copy_(middle)
        self.directions[:, :count] = flat @ axes[:count].T / scale
        gaze = motion.gaze.flatten(1)
        self.gaze_middle.copy_(gaze.mean(dim=0))
        self.gaze_spread.copy_(gaze.std(dim=0).clamp(min=0.02))

    def forward(self, motion: Motion) -> Tensor:  # [T, LENGTH]
        face = (motion.expression - self.middle) @ self.directions
        gaze = (motion.gaze.flatten(1) - self.gaze_middle) / self.gaze_spread
        return torch.cat([face, gaze], dim=1).clamp(-FARTHEST, FARTHEST)


def _root(covariance: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(covariance)
    return vectors @ (values.clamp(min=0).sqrt()[:, None] * vectors.T)
