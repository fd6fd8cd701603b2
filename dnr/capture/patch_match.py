"""Depth of every pixel of a photo from its neighbours: PatchMatch stereo with slanted planes.

After Bleyer et al. (2011) and Galliani et al. (2015): good planes spread along scan lines, and each
pixel tries a few changes of its own. No sparse points are needed, only a range of depths.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from dnr.capture.patch_cost import SAMPLES, WORST, kernel, read_window, source_cost
from dnr.capture.stereo_views import StereoView, halved

COARSE_SWEEPS, FINE_SWEEPS = 8, 3
COARSE_BELOW = 100  # a shorter side of fewer pixels is not halved further
MOST_AGREEING = 3  # sources that count, the best for each plane: others may be hidden
STEEPEST = 3.0  # slope of inverse depth, relative and per focal length (72 degrees at the centre)
_HOPELESS = np.float32(0.15)  # a plane that is worse by so much in the photos known to agree


class Planes(NamedTuple):
    """A plane behind every pixel, and how badly it explains the other photos."""

    inverse: np.ndarray  # float32 [H, W, 3]: inverse depth, its change per column and per row
    cost: np.ndarray  # float32 [H, W] in [0, 1]: mean over the sources that agree best


def match_planes(
    view: StereoView,
    sources: list[StereoView],
    nearest: float,
    farthest: float,
    seed: int = 0,
) -> Planes:
    """The planes of `view`, found at half the size first."""
    if min(view.grey.shape) >= 2 * COARSE_BELOW:
        small = match_planes(halved(view), [halved(s) for s in sources], nearest, farthest, seed)
        inverse = _enlarged(small.inverse, view.grey.shape)
        sweeps = FINE_SWEEPS
    else:
        inverse = _random_planes(view, nearest, farthest, seed)
        sweeps = COARSE_SWEEPS
    pictures, sizes = _stacked(sources)
    maps = np.stack([_source_map(view, source) for source in sources]).astype(np.float32)
    bounds = np.array([1 / farthest, 1 / nearest], np.float32)
    slope = np.float32(STEEPEST / view.intrinsics[0, 0])
    cost = np.full(view.grey.shape, 4.0, np.float32)
    order = np.tile(np.arange(len(sources), dtype=np.uint8), (*view.grey.shape, 1))
    for sweep in range(sweeps):
        _sweep(
            view.grey, pictures, sizes, maps, bounds, slope, sweep, sweeps, seed,
            inverse, cost, order,
        )  # fmt: skip
    return Planes(inverse, cost)


def _random_planes(
    view: StereoView, nearest: float, farthest: float, seed: int
) -> np.ndarray:  # float32 [H, W, 3]
    rng = np.random.default_rng(seed)
    inverse = rng.uniform(1 / farthest, 1 / nearest, (*view.grey.shape, 3))
    lean = rng.uniform(-1, 1, (*view.grey.shape, 2))
    inverse[..., 1:] = inverse[..., :1] * lean * np.abs(lean) * STEEPEST / view.intrinsics[0, 0]
    return inverse.astype(np.float32)


def _enlarged(planes: np.ndarray, size: tuple[int, ...]) -> np.ndarray:  # [h, w, 3] -> [H, W, 3]
    """The planes of a halved picture at twice its size, single outliers removed."""
    planes = planes.copy()
    planes[..., 0] = cv2.medianBlur(planes[..., 0], 3)
    large = cv2.resize(planes, size[::-1], interpolation=cv2.INTER_NEAREST)
    large[..., 1] *= planes.shape[1] / size[1]
    large[..., 2] *= planes.shape[0] / size[0]
    return np.ascontiguousarray(large)


def _source_map(view: StereoView, source: StereoView) -> np.ndarray:  # [3, 4]
    """A and b: a pixel with inverse depth w lies at A x + w b in `source`, homogeneously."""
    relative = source.world_to_camera @ np.linalg.inv(view.world_to_camera)
    turn = source.intrinsics @ relative[:3, :3] @ np.linalg.inv(view.intrinsics)
    return np.concatenate([turn, (source.intrinsics @ relative[:3, 3])[:, None]], axis=1)


def _stacked(sources: list[StereoView]) -> tuple[np.ndarray, np.ndarray]:
    """All pictures flattened into equally long rows, float32 [S, P], and their sizes [S, 2]."""
    sizes = np.array([source.grey.shape for source in sources], np.int32)
    pictures = np.zeros((len(sources), int(sizes.prod(axis=1).max()) + 1), np.float32)
    for row, source in zip(pictures, sources, strict=True):
        row[: source.grey.size] = source.grey.reshape(-1)
    return pictures, sizes


@kernel
def _uniform(state: np.ndarray) -> np.floating:
    """The next pseudo-random number in [-1, 1) (xorshift)."""
    # Shifts of 32-bit numbers have 64 bits in numba; storing cuts them back.
    state[0] ^= state[0] << np.uint32(13)
    state[0] ^= state[0] >> np.uint32(17)
    state[0] ^= state[0] << np.uint32(5)
    return np.float32(state[0] >> np.uint32(8)) * np.float32(1.0 / 8388608.0) - np.float32(1)


@kernel
def _plane_cost(
    column, row, w, wx, wy, limit, values, weights, mean, variance,
    pictures, sizes, maps, order, costs,
):  # fmt: skip
    """Mean cost over the better half of the sources, at most MOST_AGREEING.

    They are evaluated in the order of `order`, which is sorted; when those that come first are
    hopeless, it stops with a cost above `limit`.
    """
    count = len(maps)
    half = min((count + 1) // 2, MOST_AGREEING)
    x, y = np.float32(column) + np.float32(0.5), np.float32(row) + np.float32(0.5)
    total = np.float32(0)
    for k in range(count):
        s = order[k]
        m = maps[s]
        start = (
            m[0, 0] * x + m[0, 1] * y + m[0, 2] + w * m[0, 3],
            m[1, 0] * x + m[1, 1] * y + m[1, 2] + w * m[1, 3],
            m[2, 0] * x + m[2, 1] * y + m[2, 2] + w * m[2, 3],
        )
        across = (m[0, 0] + wx * m[0, 3], m[1, 0] + wx * m[1, 3], m[2, 0] + wx * m[2, 3])
        down = (m[0, 1] + wy * m[0, 3], m[1, 1] + wy * m[1, 3], m[2, 1] + wy * m[2, 3])
        cost = source_cost(
            values, weights, mean, variance, pictures[s], sizes[s, 0], sizes[s, 1],
            start, across, down,
        )  # fmt: skip
        costs[s] = cost
        total += cost
        if k == half - 1 and total > np.float32(half) * (limit + _HOPELESS):
            return np.float32(4)
    for k in range(half):  # the smallest half, by selection
        least = k
        for other in range(k + 1, count):
            if costs[order[other]] < costs[order[least]]:
                least = other
        order[k], order[least] = order[least], order[k]
    total = np.float32(0)
    for k in range(half):
        total += costs[order[k]]
    return total / np.float32(half)


@kernel
def _sweep(
    grey, pictures, sizes, maps, bounds, slope, sweep, sweeps, seed, inverse, cost, orders
):  # fmt: skip
    """One pass over all pixels, from the top left or, in odd sweeps, from the bottom right."""
    height, width = grey.shape
    state = np.empty(1, np.uint32)
    state[0] = np.uint32(2463534242 + 7919 * seed + 104729 * sweep)
    values, weights = np.empty(SAMPLES, np.float32), np.empty(SAMPLES, np.float32)
    costs, order = np.empty(len(maps), np.float32), np.empty(len(maps), np.uint8)
    back = -1 if sweep % 2 == 0 else 1
    reach = bounds[1] - bounds[0]
    shrink = np.float32(1)
    for _ in range(sweep):
        shrink *= np.float32(0.6)
    for step in range(height * width):
        place = step if sweep % 2 == 0 else height * width - 1 - step
        row, column = place // width, place % width
        mean, variance = read_window(grey, row, column, values, weights)
        best = cost[row, column]
        w, wx, wy = inverse[row, column, 0], inverse[row, column, 1], inverse[row, column, 2]
        for attempt in range(6):
            if attempt == 0:  # its own plane, where it comes from elsewhere
                if best <= WORST:
                    continue
                tw, tx, ty = w, wx, wy
            elif attempt == 1:
                if not 0 <= column + back < width:
                    continue
                n = inverse[row, column + back]
                tx, ty = n[1], n[2]
                tw = n[0] - np.float32(back) * tx
            elif attempt == 2:
                if not 0 <= row + back < height:
                    continue
                n = inverse[row + back, column]
                tx, ty = n[1], n[2]
                tw = n[0] - np.float32(back) * ty
            elif attempt == 3:
                u = _uniform(state)
                tw = w + shrink * np.float32(0.1) * u * abs(u) * reach
                tx, ty = wx, wy
            elif attempt == 4:
                tw = w + shrink * np.float32(0.01) * _uniform(state) * reach
                tx = wx + shrink * np.float32(0.5) * _uniform(state) * slope * w
                ty = wy + shrink * np.float32(0.5) * _uniform(state) * slope * w
            else:
                if sweep >= (sweeps + 1) // 2:
                    continue
                tw = bounds[0] + (np.float32(0.5) + np.float32(0.5) * _uniform(state)) * reach
                u, v = _uniform(state), _uniform(state)
                tx, ty = u * abs(u) * slope * tw, v * abs(v) * slope * tw
            steep = slope * tw
            if not (tw >= bounds[0] and tw <= bounds[1] and abs(tx) <= steep and abs(ty) <= steep):
                if attempt:
                    continue
            for k in range(len(maps)):
                order[k] = orders[row, column, k]
            found = _plane_cost(
                column, row, tw, tx, ty, best, values, weights, mean, variance,
                pictures, sizes, maps, order, costs,
            )  # fmt: skip
            if found < best:
                best, w, wx, wy = found, tw, tx, ty
                for k in range(len(maps)):
                    orders[row, column, k] = order[k]
        cost[row, column] = best
        inverse[row, column, 0], inverse[row, column, 1], inverse[row, column, 2] = w, wx, wy
