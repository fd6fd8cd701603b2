"""Depths for areas without texture: planes stretched between the depths around them."""

from __future__ import annotations

import cv2
import numpy as np
from scipy.spatial import Delaunay, QhullError

MOST_CHANGE = 0.25  # of inverse depth over one triangle: more is a step, not a slope


def spanned_depth(depth: np.ndarray) -> np.ndarray:  # float32 [H, W], 0 where unknown
    """Depths between the known ones: inverse depth is linear over triangles, as on planes.

    The triangles lead from rim to rim of the gaps. 0 where depth is known already, and where a
    triangle would join near and far.
    """
    known = depth > 0
    guess = np.zeros_like(depth)
    rim = known & ~cv2.erode(known.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    points, wanted = np.argwhere(rim), np.argwhere(~known)
    if len(points) < 3 or not len(wanted):
        return guess
    try:
        triangles = Delaunay(points)
    except QhullError:  # all on one line
        return guess
    inverse = 1 / depth[rim].astype(np.float64)
    corners = inverse[triangles.simplices]
    level = corners.max(axis=1) < (1 + MOST_CHANGE) * corners.min(axis=1)
    inside = triangles.find_simplex(wanted)
    keep = (inside >= 0) & level[inside]
    wanted, inside = wanted[keep], inside[keep]
    frame = triangles.transform[inside]
    first = np.einsum("nij,nj->ni", frame[:, :2], wanted - frame[:, 2])
    shares = np.concatenate([first, 1 - first.sum(axis=1, keepdims=True)], axis=1)
    guess[tuple(wanted.T)] = 1 / (shares * corners[inside]).sum(axis=1)
    return guess
