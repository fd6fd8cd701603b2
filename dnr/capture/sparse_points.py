"""Points of the scene from photos whose cameras are known: features, matched and triangulated."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

from dnr.capture.stereo_views import StereoView

MOST_FEATURES = 1200
PARTNERS = 6  # views with which each view is matched
WIDEST_TURN_DEG = 50.0  # between viewing directions; features change too much beyond
MOST_ERROR_PX = 1.5  # at a height of 480 pixels; grows with the photo
LEAST_ANGLE_DEG = 1.5  # between the two rays: less says little about depth
RATIO = 0.8  # between the best and the second best match (Lowe, 2004)


class SparsePoints(NamedTuple):
    """Points that two views agree on."""

    positions: np.ndarray  # float64 [N, 3]
    pairs: np.ndarray  # int64 [N, 2], the views

    def of(self, view: int) -> np.ndarray:  # [n, 3]
        """The points found with `view`."""
        return self.positions[(self.pairs == view).any(axis=1)]


def triangulate_features(
    views: list[StereoView], shown: Callable[[int], object] = int
) -> SparsePoints:
    """Scene points; there may be none at all when nothing in the photos has a texture."""
    features = [_features(view) for view in views]
    positions, pairs = [np.zeros((0, 3))], [np.zeros((0, 2), np.int64)]
    done = set()
    for index in range(len(views)):
        for partner in _partners(views, index):
            pair = (min(index, partner), max(index, partner))
            if pair in done:
                continue
            done.add(pair)
            points = _match(views, features, pair)
            positions.append(points)
            pairs.append(np.tile(np.array([pair]), (len(points), 1)))
        shown(index + 1)
    return SparsePoints(np.concatenate(positions), np.concatenate(pairs))


def _features(view: StereoView) -> tuple[np.ndarray, np.ndarray]:  # [N, 2], [N, 128]
    """Places in pixels (centres at +0.5) and RootSIFT descriptors (Arandjelovic, 2012)."""
    picture = np.rint(view.grey * 255).clip(0, 255).astype(np.uint8)
    mask = view.usable.astype(np.uint8)
    keypoints, descriptors = cv2.SIFT.create(MOST_FEATURES).detectAndCompute(picture, mask)
    if descriptors is None:
        return np.zeros((0, 2)), np.zeros((0, 128), np.float32)
    roots = np.sqrt(descriptors / np.maximum(descriptors.sum(axis=1, keepdims=True), 1e-6))
    return np.array([point.pt for point in keypoints]) + 0.5, roots.astype(np.float32)


def _partners(views: list[StereoView], index: int) -> list[int]:
    """Views that look in a similar direction from somewhere else, the nearest first."""
    centres = np.array([view.centre for view in views])
    forward = np.array([view.world_to_camera[2, :3] for view in views])
    distance = np.linalg.norm(centres - centres[index], axis=1)
    turn = np.degrees(np.arccos(np.clip(forward @ forward[index], -1, 1)))
    spread = float(np.median(np.linalg.norm(centres - np.median(centres, axis=0), axis=1)))
    far_enough = distance > 0.03 * spread
    candidates = np.flatnonzero(far_enough & (turn < WIDEST_TURN_DEG))
    return candidates[np.argsort(distance[candidates])][:PARTNERS].tolist()


def _match(
    views: list[StereoView],
    features: list[tuple[np.ndarray, np.ndarray]],
    pair: tuple[int, int],
) -> np.ndarray:  # [N, 3]
    """Triangulated mutual best matches that fit both cameras."""
    (first_at, first), (second_at, second) = features[pair[0]], features[pair[1]]
    if len(first) < 2 or len(second) < 2:
        return np.zeros((0, 3))
    likeness = first @ second.T  # cosines
    best = likeness.argmax(axis=1)
    rows = np.arange(len(first))
    top = likeness[rows, best].copy()
    mutual = likeness.argmax(axis=0)[best] == rows
    likeness[rows, best] = -1
    runner_up = likeness.max(axis=1)
    distinct = 2 - 2 * top < RATIO**2 * (2 - 2 * runner_up)
    chosen = np.flatnonzero(mutual & distinct)
    views_of_pair = [views[pair[0]], views[pair[1]]]
    places = [first_at[chosen], second_at[best[chosen]]]
    points, angle = _intersect(views_of_pair, places)
    good = np.degrees(angle) > LEAST_ANGLE_DEG
    for view, place in zip(views_of_pair, places, strict=True):
        screen = view.project(points)
        limit = MOST_ERROR_PX * max(view.grey.shape) / 480
        good &= (screen[:, 2] > 0) & (np.linalg.norm(screen[:, :2] - place, axis=1) < limit)
    return points[good]


def _intersect(
    views: list[StereoView], places: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:  # [N, 3], [N]
    """Midpoints between two rays where they come closest, and the angles between them."""
    rays = []
    for view, place in zip(views, places, strict=True):
        to_world = np.linalg.inv(view.intrinsics @ view.world_to_camera[:3, :3])
        ray = np.concatenate([place, np.ones((len(place), 1))], axis=1) @ to_world.T
        rays.append(ray / np.linalg.norm(ray, axis=1, keepdims=True))
    between = views[1].centre - views[0].centre
    cosine = (rays[0] * rays[1]).sum(axis=1)
    sine_squared = np.maximum(1 - cosine**2, 1e-12)
    along = [rays[0] @ between, rays[1] @ between]
    first = (along[0] - cosine * along[1]) / sine_squared
    second = (cosine * along[0] - along[1]) / sine_squared
    ends = views[0].centre + first[:, None] * rays[0], views[1].centre + second[:, None] * rays[1]
    return (ends[0] + ends[1]) / 2, np.arccos(np.clip(cosine, -1, 1))
