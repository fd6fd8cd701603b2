"""Landmarks of the head that ships, before a camera."""

from __future__ import annotations

import math

import numpy as np
import torch

from avatars.heads.files import load_head
from avatars.heads.head import head_vertices, landmark_points, still
from avatars.heads.rotations import rotation_matrices
from avatars.oneshot.likeness import Likeness, fit_likeness
from avatars.transfer.neutral import FACING

PHOTO = (300, 360)
"""Height and width."""


def posed_face(turned_deg: float = 0.0) -> np.ndarray:  # [478, 2]
    """Where a face in the middle of the photo has its landmarks, turned sideways."""
    head = load_head()
    turn = rotation_matrices(torch.tensor([0.0, math.radians(turned_deg), 0.0]))
    vertices = head_vertices(head, torch.zeros(len(head.identity)), still(head))
    local = landmark_points(head, vertices @ (turn @ FACING).T + torch.tensor([0.0, 0, 0.6]))[0]
    middle = torch.tensor([PHOTO[1] / 2, PHOTO[0] / 2])
    return (500 * local[:, :2] / local[:, 2:] + middle).numpy()


def frontal_likeness() -> Likeness:
    """A face that looks at us, 160 pixels wide."""
    return fit_likeness(load_head(), posed_face(), PHOTO)
