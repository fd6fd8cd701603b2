"""Depth maps that several photos confirm, and a guess wherever they do not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import cv2
import numpy as np

from dnr.capture.patch_cost import kernel
from dnr.capture.patch_match import Planes
from dnr.capture.stereo_views import StereoView

MOST_COST = 0.7
MOST_SHIFT_PX = 1.0  # there and back again
MOST_DEPTH_ERROR = 0.01
LEAST_AGREEING = 2
LEAST_PATCH = 5e-4  # of a picture: smaller patches with a depth of their own agree by chance
FAVOUR_FAR = 4.0  # power of depth
MOST_STEP = 0.02  # relative, between neighbours on one surface
SPANNED_TRUST = 0.2  # in depths between measured ones, where other views' agree with them
GUESS_TRUST = 0.02


class DepthMap(NamedTuple):
    """Depth along the camera's z axis, and how much to believe it."""

    depth: np.ndarray  # float32 [H, W], above 0 everywhere
    trust: np.ndarray  # float32 [H, W]: 1 where it was measured and confirmed, less elsewhere

    def nearest(self) -> float:
        """The least measured depth, but for outliers; 0 if nothing was measured."""
        measured = self.trust == 1
        return float(np.percentile(self.depth[measured], 1)) if measured.any() else 0.0


def confirmed_depth(
    index: int,
    views: list[StereoView],
    planes: Mapping[int, Planes],  # of `index` and of the others
    others: list[int],
) -> np.ndarray:  # float32 [H, W], 0 where nothing was confirmed
    """The mean of a view's depth and of those views that agree with it."""
    view = views[index]
    total = 1 / np.maximum(planes[index].inverse[..., 0], 1e-12)
    own = total.copy()
    count = np.zeros(view.grey.shape, np.int32)
    usable = view.usable & (planes[index].cost < MOST_COST)
    for other in others:
        there = views[other]
        relative = there.world_to_camera @ np.linalg.inv(view.world_to_camera)
        maps = _pixel_map(view, there, relative), _pixel_map(there, view, np.linalg.inv(relative))
        good = planes[other].cost < MOST_COST
        _add_agreeing(
            own, usable, planes[other].inverse[..., 0], good & there.usable, *maps, total, count
        )
    depth = np.where(usable & (count >= LEAST_AGREEING), total / (count + 1), 0).astype(np.float32)
    _drop_small_patches(depth, int(LEAST_PATCH * depth.size))
    return depth


def _pixel_map(view: StereoView, other: StereoView, relative: np.ndarray) -> np.ndarray:  # [3, 4]
    """(depth * pixel, 1) of `view` to the homogeneous pixel, times its depth, of `other`."""
    turn = other.intrinsics @ relative[:3, :3] @ np.linalg.inv(view.intrinsics)
    return np.concatenate([turn, (other.intrinsics @ relative[:3, 3])[:, None]], axis=1)


@kernel
def _add_agreeing(own, usable, inverse, good, there, back, total, count):
    """Follow every pixel into the other view and back; add what comes home."""
    height, width = own.shape
    rows, columns = inverse.shape
    for row in range(height):
        for column in range(width):
            if not usable[row, column]:
                continue
            z, x, y = own[row, column], column + 0.5, row + 0.5
            w = z * (there[2, 0] * x + there[2, 1] * y + there[2, 2]) + there[2, 3]
            if not w > 1e-9:
                continue
            u = (z * (there[0, 0] * x + there[0, 1] * y + there[0, 2]) + there[0, 3]) / w
            v = (z * (there[1, 0] * x + there[1, 1] * y + there[1, 2]) + there[1, 3]) / w
            if not (u > 0 and v > 0 and u < columns and v < rows):
                continue
            i, j = int(v), int(u)
            if not good[i, j]:
                continue
            far = 1 / inverse[i, j]
            u, v = j + 0.5, i + 0.5
            depth = far * (back[2, 0] * u + back[2, 1] * v + back[2, 2]) + back[2, 3]
            if not abs(depth - z) < MOST_DEPTH_ERROR * z:
                continue
            # Compared at the depth of the surface there: the pixel itself was rounded.
            hx = (far * (back[0, 0] * u + back[0, 1] * v + back[0, 2]) + back[0, 3]) / depth - x
            hy = (far * (back[1, 0] * u + back[1, 1] * v + back[1, 2]) + back[1, 3]) / depth - y
            if hx * hx + hy * hy < MOST_SHIFT_PX * MOST_SHIFT_PX:
                total[row, column] += depth
                count[row, column] += 1


@kernel
def _drop_small_patches(depth, least):
    """Set connected patches of fewer than `least` pixels to 0."""
    height, width = depth.shape
    visited = np.zeros(depth.size, np.bool_)
    patch = np.empty(depth.size, np.int64)
    flat = depth.reshape(-1)
    for start in range(depth.size):
        if visited[start] or flat[start] == 0:
            continue
        visited[start] = True
        patch[0], count, done = start, 1, 0
        while done < count:
            place = patch[done]
            done += 1
            row, column = place // width, place % width
            for way in range(4):
                r, c = row + (way == 0) - (way == 1), column + (way == 2) - (way == 3)
                if r < 0 or c < 0 or r >= height or c >= width:
                    continue
                other = r * width + c
                near = abs(flat[other] - flat[place]) < MOST_STEP * flat[place]
                if near and not visited[other]:  # unknown pixels are never near
                    visited[other] = True
                    patch[count] = other
                    count += 1
        if count < least:
            for k in range(count):
                flat[patch[k]] = 0


def completed(
    measured: np.ndarray,  # float32 [H, W], 0 where unknown
    spanned: np.ndarray,  # float32 [H, W], of what was not measured; 0 where unknown
    farthest: np.ndarray,  # float32 [H, W]: no guess goes beyond this
) -> DepthMap:
    """The map with all gaps closed smoothly, in inverse depth, from their surroundings."""
    depth = np.where(measured > 0, measured, spanned)
    known = depth > 0
    trust = np.where(measured > 0, 1, np.where(known, SPANNED_TRUST, GUESS_TRUST))
    trust = trust.astype(np.float32)
    if not known.any():
        return DepthMap(farthest.copy(), trust)
    inverse = np.where(known, 1 / np.where(known, depth, 1), 0).astype(np.float32)
    near, far = np.percentile(depth[known], [1, 99])
    # Gaps beside a near thing are mostly what it hides from other photos: far depths count more.
    favour = np.where(known, np.clip(depth / far, 0, 1) ** FAVOUR_FAR, 0).astype(np.float32)
    levels: list[tuple[np.ndarray, np.ndarray]] = [(inverse, known.astype(np.float32))]
    while min(levels[-1][0].shape) > 1:  # pull: coarser means of what is known
        value, weight = levels[-1]
        size = (max(value.shape[1] // 2, 1), max(value.shape[0] // 2, 1))
        summed = cv2.resize(value * favour, size, interpolation=cv2.INTER_AREA)
        favour = cv2.resize(favour, size, interpolation=cv2.INTER_AREA)
        weight = cv2.resize(weight, size, interpolation=cv2.INTER_AREA)
        levels.append((summed / np.maximum(favour, 1e-20), np.minimum(4 * weight, 1)))
    value, weight = levels[-1]
    filled = np.where(weight > 0, value, np.median(inverse[known])).astype(np.float32)
    for value, weight in reversed(levels[:-1]):  # push: into what finer levels do not know
        favour = (1 / (far * np.maximum(filled, 1e-9))).clip(1e-3, 1) ** FAVOUR_FAR
        guess = cv2.resize(filled * favour, value.shape[::-1], interpolation=cv2.INTER_LINEAR)
        guess /= cv2.resize(favour, value.shape[::-1], interpolation=cv2.INTER_LINEAR)
        filled = weight * value + (1 - weight) * guess
    guess = np.clip(1 / np.maximum(filled, 1e-9), 0.95 * near, 1.15 * far)
    guess = np.minimum(guess, farthest)
    return DepthMap(np.where(known, depth, guess).astype(np.float32), trust)
