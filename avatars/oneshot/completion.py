"""A picture completed where something is to be taken away: out of patches of what is around.

Patches are found by PatchMatch (Barnes et al. 2009) and averaged where they overlap (Wexler et al.
2007), from coarse to fine. Everything is repeatable: the random numbers are our own.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numba import njit

from avatars.stage.plate import filled

COARSEST, FINEST = 40, 256  # longest side of the first and the last level
AREA, OUTSIDE = cv2.INTER_AREA, cv2.BORDER_CONSTANT
SIDEWAYS = 6  # how much nearer things beside the hole are than things above it
LEAST_SOURCES = 12  # patches; fewer would be seen again and again
RADIUS = 3  # patches are 7 x 7
SOFT_SEAM = 8.0  # pixels of the last level, over which colours of patches are evened out
ROUNDS = 4  # of search and averaging, on each level
PASSES = 2  # over the picture, in each search
FADE = 0.85  # how much less a pixel is believed with each step into the hole
FAR = 0.15  # what a patch from one picture's side away costs, as mean squared difference


def completed(
    image: np.ndarray, free: np.ndarray
) -> np.ndarray:  # uint8 [H, W, 3], bool [H, W] -> uint8 [H, W, 3]
    """`image` where it is `free`, and elsewhere made up out of patches of that."""
    if free.all() or not free.any():
        return image
    smooth = _continued_sideways(image, free)
    shrink = min(FINEST / max(free.shape), 1.0)
    steps = max(int(np.ceil(np.log2(max(free.shape) * shrink / COARSEST))), 0)
    offsets, made = None, smooth
    for step in range(steps, -1, -1):
        size = [max(round(side * shrink / 2**step), 2 * RADIUS + 2) for side in free.shape]
        known = _smaller(free, size) > 0.99
        if _sources(known).sum() < LEAST_SOURCES:
            continue
        small = _resized(image.astype(np.float32), size) / 255
        guess = _resized(made, size) / 255
        offsets = _start(known, offsets)
        made = 255 * _improved(small, guess, known, offsets)
    if offsets is not None:
        smooth = _carried(image, free, made, offsets)
    return np.where(free[..., None], image, np.clip(smooth + 0.5, 0, 255)).astype(np.uint8)


def _continued_sideways(image: np.ndarray, free: np.ndarray) -> np.ndarray:
    """What is beside counts more than what is above: rooms and landscapes lie in layers."""
    height, width = free.shape
    narrow = (max(width // SIDEWAYS, 1), height)
    sums = cv2.resize(image * free[..., None].astype(np.float32), narrow, interpolation=AREA)
    weight = cv2.resize(free.astype(np.float32), narrow, interpolation=AREA)
    known = weight > 0.3
    layers = filled(sums / np.maximum(weight, 1e-6)[..., None], known)
    reached = filled(known[..., None].astype(np.float32), known)[..., 0] > 0.5
    layers = filled(layers, reached)  # rows in which nothing is free
    return cv2.resize(layers, (width, height), interpolation=cv2.INTER_LINEAR)


def _smaller(mask: np.ndarray, size: list[int]) -> np.ndarray:
    return cv2.resize(mask.astype(np.float32), size[::-1], interpolation=AREA)


def _resized(image: np.ndarray, size: Sequence[int]) -> np.ndarray:
    larger = size[0] > image.shape[0]
    return cv2.resize(image, tuple(size)[::-1], interpolation=cv2.INTER_LINEAR if larger else AREA)


def _sources(known: np.ndarray) -> np.ndarray:  # bool [H, W]
    """Where the middle of a whole patch may be."""
    side = np.ones((2 * RADIUS + 1, 2 * RADIUS + 1), np.uint8)
    return cv2.erode(known.astype(np.uint8), side, borderType=OUTSIDE, borderValue=0) > 0


def _start(known: np.ndarray, coarser: np.ndarray | None) -> np.ndarray:  # int32 [H, W, 2]
    """Row and column of a source patch for every pixel: the coarser level's, or the nearest."""
    sources = _sources(known)
    _, labels = cv2.distanceTransformWithLabels(
        (~sources).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    labels = np.asarray(labels, np.int64)
    nearest = np.zeros((labels.max() + 1, 2), np.int32)
    nearest[labels[sources]] = np.argwhere(sources)
    places = nearest[labels]
    if coarser is None:
        return places
    scale = np.array(known.shape) / np.array(coarser.shape[:2])
    rows, columns = np.indices(known.shape)
    old = (rows / scale[0]).astype(int), (columns / scale[1]).astype(int)
    here = np.stack([rows, columns], axis=-1)
    wanted = here + (coarser[old] - np.stack(old, axis=-1)) * scale
    wanted = np.clip(wanted.round().astype(np.int32), 0, np.array(known.shape) - 1)
    return places[wanted[..., 0], wanted[..., 1]]


def _improved(
    image: np.ndarray,  # float32 [H, W, 3] in [0, 1]
    guess: np.ndarray,
    known: np.ndarray,
    offsets: np.ndarray,  # changed in place
) -> np.ndarray:
    """The picture after some rounds; known pixels stay."""
    made = np.where(known[..., None], image, guess).astype(np.float32)
    away = np.asarray(cv2.distanceTransform((~known).astype(np.uint8), cv2.DIST_L2, 3))
    belief = (FADE**away).astype(np.float32)
    sources = _sources(known)
    for turn in range(ROUNDS):
        _search(made, image, belief, sources, offsets, turn)
        mean = _averaged(made, image, ~sources, belief, offsets)
        made = np.where(known[..., None], made, mean)
    return made


@njit(cache=True, nogil=True, fastmath=True)
def _difference(
    made: np.ndarray, image: np.ndarray, belief: np.ndarray, y: int, x: int, sy: int, sx: int
) -> np.floating:  # pragma: no cover
    """Weighted mean square between the patch at (y, x) and the source at (sy, sx)."""
    height, width = belief.shape
    far = ((sy - y) ** 2 + (sx - x) ** 2) / np.float32(max(height, width)) ** 2
    total, weight = np.float32(0), np.float32(1e-6)
    for dy in range(-RADIUS, RADIUS + 1):
        yy = y + dy
        if yy < 0 or yy >= height:
            continue
        for dx in range(-RADIUS, RADIUS + 1):
            xx = x + dx
            if xx < 0 or xx >= width:
                continue
            trust = belief[yy, xx]
            weight += trust
            for c in range(3):
                step = made[yy, xx, c] - image[sy + dy, sx + dx, c]
                total += trust * step * step
    return total / weight + np.float32(FAR) * far


@njit(cache=True, nogil=True)
def _search(
    made: np.ndarray, image: np.ndarray, belief: np.ndarray, sources: np.ndarray,
    offsets: np.ndarray, turn: int,
) -> None:  # pragma: no cover  # fmt: skip
    """Better sources for every patch that touches the hole: those of its neighbours, and random
    ones in smaller and smaller circles."""
    height, width = belief.shape
    state = np.uint64(88172645463325252 + turn)
    for number in range(PASSES):
        step = 1 if (number + turn) % 2 == 0 else -1
        for i in range(height):
            y = i if step == 1 else height - 1 - i
            for j in range(width):
                x = j if step == 1 else width - 1 - j
                if sources[y, x]:
                    continue
                by, bx = offsets[y, x]
                best = _difference(made, image, belief, y, x, by, bx)
                for side in range(2):
                    ny, nx = (y - step, x) if side == 0 else (y, x - step)
                    if 0 <= ny < height and 0 <= nx < width:
                        sy, sx = offsets[ny, nx, 0] + y - ny, offsets[ny, nx, 1] + x - nx
                        if 0 <= sy < height and 0 <= sx < width and sources[sy, sx]:
                            found = _difference(made, image, belief, y, x, sy, sx)
                            if found < best:
                                best, by, bx = found, sy, sx
                reach = max(height, width)
                while reach >= 1:
                    state ^= state << np.uint64(13)
                    state ^= state >> np.uint64(7)
                    state ^= state << np.uint64(17)
                    sy = by + np.int64(state % np.uint64(2 * reach + 1)) - reach
                    sx = bx + np.int64((state >> np.uint64(24)) % np.uint64(2 * reach + 1)) - reach
                    if 0 <= sy < height and 0 <= sx < width and sources[sy, sx]:
                        found = _difference(made, image, belief, y, x, sy, sx)
                        if found < best:
                            best, by, bx = found, sy, sx
                    reach //= 2
                offsets[y, x, 0], offsets[y, x, 1] = by, bx


@njit(cache=True, nogil=True)
def _averaged(
    made: np.ndarray, image: np.ndarray, near: np.ndarray, belief: np.ndarray, offsets: np.ndarray
) -> np.ndarray:  # pragma: no cover
    """Every pixel the mean of what the patches around it say."""
    height, width = belief.shape
    result = made.copy()
    for y in range(height):
        for x in range(width):
            weight = np.float32(0)
            red, green, blue = np.float32(0), np.float32(0), np.float32(0)
            for dy in range(-RADIUS, RADIUS + 1):
                for dx in range(-RADIUS, RADIUS + 1):
                    yy, xx = y + dy, x + dx
                    if yy < 0 or yy >= height or xx < 0 or xx >= width or not near[yy, xx]:
                        continue
                    trust = belief[yy, xx]
                    sy, sx = offsets[yy, xx, 0] - dy, offsets[yy, xx, 1] - dx
                    weight += trust
                    red += trust * image[sy, sx, 0]
                    green += trust * image[sy, sx, 1]
                    blue += trust * image[sy, sx, 2]
            if weight > 0:
                result[y, x, 0], result[y, x, 1] = red / weight, green / weight
                result[y, x, 2] = blue / weight
    return result


def _carried(
    image: np.ndarray, free: np.ndarray, made: np.ndarray, offsets: np.ndarray
) -> np.ndarray:  # float32 [H, W, 3]
    """The patches' own pixels at full size: where four sources surround a pixel, their mix.

    Each brings its detail along, and takes the broad colour of `made`, so that seams are soft.
    """
    coarse = offsets.shape[:2]
    scale = np.array(free.shape) / np.array(coarse)
    rows, columns = np.indices(coarse, dtype=np.float32)
    steps = (offsets - np.stack([rows, columns], axis=-1)).astype(np.float32)
    ys, xs = np.indices(free.shape, dtype=np.float32)
    at_y, at_x = (ys + 0.5) / scale[0] - 0.5, (xs + 0.5) / scale[1] - 0.5
    top, left = np.floor(at_y).astype(int), np.floor(at_x).astype(int)
    colours = np.where(free[..., None], image, _resized(made, free.shape)).astype(np.float32)
    broad = _resized(cv2.GaussianBlur(_resized(colours, coarse), (0, 0), SOFT_SEAM), free.shape)
    detail = colours - broad
    for down in (0, 1):
        for across in (0, 1):
            i, j = np.clip(top + down, 0, coarse[0] - 1), np.clip(left + across, 0, coarse[1] - 1)
            share = np.abs(1 - down - (at_y - top)) * np.abs(1 - across - (at_x - left))
            place_y = (ys + steps[i, j, 0] * scale[0]).astype(np.float32)
            place_x = (xs + steps[i, j, 1] * scale[1]).astype(np.float32)
            taken = cv2.remap(detail, place_x, place_y, cv2.INTER_LINEAR,
                              borderMode=cv2.BORDER_REFLECT)  # fmt: skip
            broad += share[..., None].astype(np.float32) * taken
    return broad
