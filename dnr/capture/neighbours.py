"""With which photos each photo is compared, and between which depths its surfaces lie."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dnr.capture.sparse_points import SparsePoints
from dnr.capture.stereo_views import StereoView
from dnr.errors import InputError

SOURCES = 6
CHECKS = 10  # views that may confirm a depth
BEST_ANGLE_DEG, ANGLE_SIGMA_DEG = 10.0, 6.0
ANY_ANGLE = 0.05  # the worth of a source at any other angle, against 1 at the best
LEAST_WORTH = 0.005  # of what a source could be worth at most
CELLS = 8  # along each side of a photo: each cell counts alike, however many points it has
LEAST_APART_DEG = 2.0  # between a chosen source and the next one, seen from the scene
LEAST_POINTS = 30  # in a view, to trust its own range of depths


class Neighbourhood(NamedTuple):
    """What stereo needs to know of one view."""

    sources: list[int]  # best first; the first SOURCES of them are matched
    nearest: float
    farthest: float


def find_neighbourhoods(views: list[StereoView], points: SparsePoints) -> list[Neighbourhood]:
    """One for each view, from the points they share."""
    if len(points.positions) < LEAST_POINTS:
        points = _points_on_axes(views)
    everywhere = np.concatenate(
        [_percentiles(view, _seen(view, points.positions)) for view in views]
    )
    whole = np.array([np.nanmin(everywhere[:, 0]), np.nanmax(everywhere[:, 1])])
    found = []
    for index, view in enumerate(views):
        own = points.of(index)
        near, far = _percentiles(view, own)[0] if len(own) >= LEAST_POINTS else whole
        # Sparse points avoid blank walls and the edges of photos: leave room.
        found.append(Neighbourhood(_sources(views, index, points), 0.5 * near, 2.5 * far))
    return found


def _seen(view: StereoView, positions: np.ndarray) -> np.ndarray:
    return positions[view.shows(view.project(positions))]


def _percentiles(view: StereoView, positions: np.ndarray) -> np.ndarray:  # [1, 2]
    """The nearest and farthest depth, without outliers; NaN if there are no points."""
    if not len(positions):
        return np.full((1, 2), np.nan)
    return np.percentile(view.project(positions)[:, 2], [1, 99])[None]


def _sources(views: list[StereoView], index: int, points: SparsePoints) -> list[int]:
    """The views that show each part of the photo from about the best angle, none twice from one
    place. The first ones are chosen so that together they leave no part out."""
    own = _seen(views[index], points.positions)
    own = own[:: max(len(own) // 1000, 1)]
    if not len(own):
        return []
    share = _shares(views[index], own)
    worth = np.array([_angle_worth(views[index], view, own) for view in views])
    worth[index] = 0
    middle = np.median(own, axis=0)
    covered = np.zeros(len(own))
    chosen: list[int] = []
    spare: list[int] = []
    left = set(range(len(views))) - {index}
    while left and len(chosen) < CHECKS:
        gain = worth @ (share / (1 + covered) ** 2)
        best = max(left, key=lambda other: (gain[other], -other))
        if gain[best] < LEAST_WORTH:
            break
        left.remove(best)
        directions = _directions(np.array([views[c].centre for c in [index, *chosen]]), middle)
        away = _directions(views[best].centre[None], middle)[0]
        angle = np.degrees(np.arccos(np.clip(directions @ away, -1, 1)))
        if angle.min() > LEAST_APART_DEG:
            chosen.append(best)
            covered += worth[best]
        else:
            spare.append(best)
    return (chosen + spare)[:CHECKS]


def _shares(view: StereoView, points: np.ndarray) -> np.ndarray:  # [N], they sum to one
    """How much of the photo each point stands for: points crowd on what has texture."""
    height, width = view.grey.shape
    place = np.minimum(view.project(points)[:, :2] * CELLS / (width, height), CELLS - 1).astype(int)
    cell = place[:, 1] * CELLS + place[:, 0]
    count = np.bincount(cell)
    return 1 / (count[cell] * np.count_nonzero(count))


def _angle_worth(view: StereoView, other: StereoView, points: np.ndarray) -> np.ndarray:  # [N]
    """What `other` adds to knowing the depth of each point, from 0 (out of its sight) to 1."""
    cosine = (_directions(points, view.centre) * _directions(points, other.centre)).sum(axis=1)
    angle = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
    bell = np.exp(-0.5 * ((angle - BEST_ANGLE_DEG) / ANGLE_SIGMA_DEG) ** 2)
    return np.maximum(bell, ANY_ANGLE) * other.shows(other.project(points))


def _directions(points: np.ndarray, centre: np.ndarray) -> np.ndarray:  # [N, 3] unit
    away = points - centre
    return away / np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-12)


def _points_on_axes(views: list[StereoView]) -> SparsePoints:
    """Stand-ins where photos have no features: a ball around the point that all cameras look at."""
    forward = np.array([view.world_to_camera[2, :3] for view in views])
    centres = np.array([view.centre for view in views])
    across = np.eye(3) - forward[:, :, None] * forward[:, None, :]
    try:
        middle = np.linalg.solve(across.sum(axis=0), (across @ centres[..., None]).sum(axis=0))
    except np.linalg.LinAlgError:
        middle = np.full((3, 1), np.nan)
    radius = np.median(np.linalg.norm(centres - middle[:, 0], axis=1)) / 3
    ahead = ((middle[:, 0] - centres) * forward).sum(axis=1)
    if not np.isfinite(radius) or np.median(ahead) <= radius or len(views) < 3:
        raise InputError(
            "the photos share too few details to find depths. Film with more light, slower, and "
            "with textured things in view."
        )
    ball = np.random.default_rng(0).normal(size=(1000, 3))
    ball *= radius / np.linalg.norm(ball, axis=1, keepdims=True)
    nobody = np.full((len(ball), 2), -1)
    return SparsePoints(middle[:, 0] + ball, nobody)
