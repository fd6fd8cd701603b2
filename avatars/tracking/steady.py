"""Motion without the noise of single frames: fast changes stay, trembling goes."""

from __future__ import annotations

import numpy as np
import torch
from scipy.linalg import solveh_banded
from scipy.ndimage import uniform_filter1d

from avatars.heads.head import Head
from avatars.tracking.normal import Motions
from avatars.tracking.points import Pose

GROUPS = {  # what the expressions' names begin with, and how much bends of their courses cost
    "lids": (("eye",), 0.3),
    "mouth": (("jaw", "mouth", "tongue"), 0.15),
    "brows": (("brow", "nose", "cheek"), 8.0),
}
POSE_COST, GAZE_COST = 4.0, 1.0
BY_PICTURES = 2.5  # times the cost, of mouths that pictures corrected: they tremble more
ROUNDS = 3  # of telling motion from noise
LEAST_FRAMES = 5
NEAR = 7  # frames
STILL = 0.2  # of the frames show noise and little else
MOTION = 3.5  # times the noise: what bends so much is meant
LEAST = 1e-6  # noise of what never changes
MOST_POSE = 9 * [0.005] + 3 * [0.0001]  # entries of the rotation; metres
MOST_EXPRESSION, MOST_GAZE = 0.03, 0.01
"""Noise beyond that is motion: in films that shake throughout no frame is still."""


def steadied(head: Head, motions: Motions, by_pictures: bool = False) -> Motions:
    """The courses that bend least and stay near the given ones, group by group.

    All columns of a group go through the same filter, so that what makes up for each other (a turn
    and a shift, say) still does. Where a group bends more than its own noise explains, as in a
    blink, it is left alone.
    """
    if len(motions.expression) < LEAST_FRAMES:
        return motions
    (rotation, translation), expression, gaze = motions
    pose = torch.cat([rotation.flatten(1), translation], dim=1)
    pose = torch.from_numpy(smoothed(pose.cpu().numpy(), POSE_COST, MOST_POSE)).to(expression)
    left, _, right = torch.linalg.svd(pose[:, :9].reshape(-1, 3, 3))  # back to rotations
    eyes = smoothed(gaze.flatten(1).cpu().numpy(), GAZE_COST, MOST_GAZE)
    courses = expression.clone()
    for name, (beginnings, cost) in GROUPS.items():
        cost = BY_PICTURES * cost if by_pictures and name == "mouth" else cost
        columns = [k for k, word in enumerate(head.expression_names) if word.startswith(beginnings)]
        course = smoothed(expression[:, columns].cpu().numpy(), cost, MOST_EXPRESSION)
        courses[:, columns] = torch.from_numpy(course).to(expression).clamp(0, 1)
    eyes = torch.from_numpy(eyes).to(gaze).reshape_as(gaze)
    return Motions(Pose(left @ right, pose[:, 9:]), courses, eyes)


def smoothed(
    courses: np.ndarray,  # [T, C]
    cost: float,
    most: float | list[float],  # noise of one column, or of each
) -> np.ndarray:  # [T, C]
    """The courses y that minimise (y - x)^2 + cost * (second difference of y)^2."""
    bends = np.diff(courses.astype(float), n=2, axis=0)
    noise = np.minimum(_noise(bends), most)
    found = courses
    for _ in range(ROUNDS):
        size = np.sqrt(((bends / noise) ** 2).mean(axis=1))
        found = _banded(cost / (1 + (size / MOTION) ** 2) ** 2, courses)
        bends = np.diff(found, n=2, axis=0)
    return found


def _noise(bends: np.ndarray) -> np.ndarray:  # [T - 2, C] -> [C]
    """What bends are where next to nothing moves."""
    size = (bends / (np.abs(bends).mean(axis=0) + LEAST)) ** 2
    size = uniform_filter1d(size.sum(axis=1), NEAR)  # one small bend is luck
    still = np.argsort(size)[: max(round(STILL * len(size)), 1)]
    return np.sqrt((bends[still] ** 2).mean(axis=0)) + LEAST


def _banded(costs: np.ndarray, right: np.ndarray) -> np.ndarray:  # [T - 2], [T, C]
    """Solve (1 + D' diag(costs) D) y = x for second differences D."""
    frames = len(right)
    bands = np.zeros((3, frames))  # lower form: the diagonal and two below
    bands[0] = 1
    bend = (1.0, -2.0, 1.0)
    for row in range(3):
        for column in range(row + 1):
            bands[row - column, column : column + frames - 2] += bend[row] * bend[column] * costs
    return solveh_banded(bands, right, lower=True)
