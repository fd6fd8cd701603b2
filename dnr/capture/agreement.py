"""What other depth maps say to each depth: the same, or that they look through it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dnr.capture.patch_cost import kernel
from dnr.capture.stereo_views import StereoView

SAME = 0.015  # of the depth
BEHIND = 0.03  # a surface so much farther away is seen through the point


class Votes(NamedTuple):
    """How many other views say what of each pixel; the rest see nothing there, or are hidden."""

    agreeing: np.ndarray  # uint8 [H, W]
    through: np.ndarray  # uint8 [H, W]


def votes(
    index: int,
    views: list[StereoView],
    own: np.ndarray,  # float32 [H, W] in view `index`; 0 where unknown, in all of them
    depths: list[np.ndarray],  # float32 [H, W] of each view
    others: list[int],
) -> Votes:
    """What the `others` say about the depths `own`."""
    view = views[index]
    agreeing, through = np.zeros(own.shape, np.uint8), np.zeros(own.shape, np.uint8)
    to_world = np.linalg.inv(view.world_to_camera)
    for other in others:
        relative = views[other].world_to_camera @ to_world
        turn = views[other].intrinsics @ relative[:3, :3] @ np.linalg.inv(view.intrinsics)
        shift = views[other].intrinsics @ relative[:3, 3]
        _vote(own, depths[other], turn, shift, agreeing, through)
    return Votes(agreeing, through)


@kernel
def _vote(own, depth, turn, shift, agreeing, through):
    height, width = own.shape
    rows, columns = depth.shape
    for row in range(height):
        for column in range(width):
            z, x, y = own[row, column], column + 0.5, row + 0.5
            if z == 0:
                continue
            w = z * (turn[2, 0] * x + turn[2, 1] * y + turn[2, 2]) + shift[2]
            if not w > 1e-9:
                continue
            u = (z * (turn[0, 0] * x + turn[0, 1] * y + turn[0, 2]) + shift[0]) / w
            v = (z * (turn[1, 0] * x + turn[1, 1] * y + turn[1, 2]) + shift[1]) / w
            if not (u > 0 and v > 0 and u < columns and v < rows):
                continue
            there = depth[int(v), int(u)]
            if abs(there - w) < SAME * w:
                agreeing[row, column] += 1
            elif there > (1 + BEHIND) * w:
                through[row, column] += 1
