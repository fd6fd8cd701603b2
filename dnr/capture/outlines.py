"""Depth maps end where things do: matches in blank areas beside a thing are only the thing's edge.

A window that reaches over the outline of a thing in front of a blank sky or wall finds the outline
again in other photos, so stereo spreads the thing's depth by half a window. But such pixels have
the colour of what lies around them, of which most has no depth.
"""

from __future__ import annotations

import cv2
import numpy as np

from dnr.capture.patch_cost import RADIUS, kernel

REACH = RADIUS + 2  # pixels from where nothing is known: the spread is no wider
WINDOW, STEP = 16, 2  # pixels to each side: thrice as wide as the spread; each second is looked at
LIKE = 0.04  # standard deviation of grey levels that count as the same colour
LEAST_SHARE = 0.33  # of the pixels of its colour around it that share a pixel's depth
SAME = 0.1  # of the depth


def without_spread(depth: np.ndarray, grey: np.ndarray) -> np.ndarray:  # float32 [H, W] each
    """The depths, 0 where unknown, but for those that things have spread beyond their outline."""
    inside = cv2.distanceTransform((depth > 0).astype(np.uint8), cv2.DIST_C, 3)
    kept = depth.copy()
    _drop(depth, grey, inside, kept)
    return kept


@kernel
def _drop(depth, grey, inside, kept):
    height, width = depth.shape
    for row in range(height):
        for column in range(width):
            own = depth[row, column]
            if own == 0 or inside[row, column] > REACH:
                continue
            total, share = np.float32(0), np.float32(0)
            for i in range(-WINDOW, WINDOW + 1, STEP):
                for j in range(-WINDOW, WINDOW + 1, STEP):
                    r, c = row + i, column + j
                    if r < 0 or c < 0 or r >= height or c >= width:
                        continue
                    away = (grey[r, c] - grey[row, column]) / np.float32(LIKE)
                    weight = np.exp(-np.float32(0.5) * away * away)
                    total += weight
                    if abs(depth[r, c] - own) < np.float32(SAME) * own:  # never where unknown
                        share += weight
            if share < np.float32(LEAST_SHARE) * total:
                kept[row, column] = 0
