"""Where the light came from: lamps found from colours alone.

Neighbours and texels of like hue mostly share their paint, so ratios between them are ratios of
light; where they are not, a robust loss leaves them out. No lamp's power is negative, which leaves
few of many candidates; finer ones are then tried around these. Shadows with sharp rims pin lamps
down to a degree or two.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import nnls
from scipy.spatial import KDTree

from dnr.editing.atlas import Atlas
from dnr.editing.light import DARKEST, Light, Points, arriving, surroundings
from dnr.geometry.meshes import Mesh

FIRST_LAMPS = 128
FAR = 20.0
"""Of the first candidates: radii of the scene."""
ROUNDS = 3
FIRST_REACH = 0.3
"""Radians around a lamp that was found, within which the next candidates lie; then half of it."""
NEARER = (0.25, 0.5, 0.7, 1.4)
"""Ratios of distance that are tried as well."""
KEPT, SPLIT, MOST_SPLIT = 0.004, 0.03, 6
"""Shares of all light above which a candidate stays, and is looked around."""
LEAST_SHARE = 0.0005
"""Lamps that give less are left out in the end."""
SAMPLES = 30_000
PAIRS = 10_000
REACHES = (6.0, 30.0, 80.0)
"""Texels between the two of a pair; a last set of pairs is chosen by hue instead."""
HUE_REACH = 0.0025
LEAST = 0.03
"""Darker colour is noise in the logarithm."""
SCALES = (0.5, 0.3, 0.2, 0.1, 0.06, 0.06)
"""Ratios that miss the model by more than about this count little; step by step."""
CAUTION = 0.003
"""How much each step holds on to the powers before it."""


class Pairs(NamedTuple):
    """Samples that probably share their paint."""

    first: np.ndarray  # int64 [P]
    second: np.ndarray  # int64 [P]


def find_light(
    mesh: Mesh,
    atlas: Atlas,
    colour: np.ndarray,  # [N, 3] as photographed
    leanings: list[np.ndarray],  # float32 [N, 3] each: normals to choose from
) -> tuple[Light, np.ndarray]:
    """The light, and the normals that explain the colours best with it."""
    usable = np.flatnonzero(atlas.inside & (colour.min(axis=1) > LEAST))
    if len(usable) < PAIRS:
        return Light(np.zeros((0, 3)), np.ones((1, 3), np.float32)), leanings[0]
    rng = np.random.default_rng(0)
    chosen = rng.choice(usable, min(SAMPLES, len(usable)), replace=False)
    pairs = _pairs(atlas, colour, chosen, rng)
    samples = colour[chosen].astype(np.float64)
    places = [
        Points(atlas.position[chosen], atlas.normal[chosen], leaning[chosen], atlas.spacing)
        for leaning in leanings
    ]
    middle, radius = surroundings(mesh)
    first = middle + FAR * radius * _lattice(FIRST_LAMPS)
    tries = [_powers(_basis(mesh, points, first), samples, pairs)[1] for points in places]
    best = int(np.argmin(tries))
    return _fit(mesh, places[best], samples, pairs, first), leanings[best]


def _pairs(atlas: Atlas, colour: np.ndarray, chosen: np.ndarray, rng: np.random.Generator) -> Pairs:
    """Samples beside each other at several distances, and samples of one hue anywhere."""
    position, hue = atlas.position[chosen], colour[chosen]
    hue = hue / hue.sum(axis=1, keepdims=True)
    spaces = [(position, reach * atlas.spacing) for reach in REACHES] + [(hue, HUE_REACH)]
    first, second = [], []
    for values, reach in spaces:
        own = rng.choice(len(chosen), PAIRS)
        first.append(own)
        near = values[own] + rng.normal(size=(PAIRS, 3)) * reach
        second.append(np.asarray(KDTree(values).query(near)[1]))
    return Pairs(np.concatenate(first), np.concatenate(second))


def _fit(mesh: Mesh, points: Points, colour: np.ndarray, pairs: Pairs, lamps: np.ndarray) -> Light:
    """The light, from candidates that come closer round by round."""
    middle, radius = surroundings(mesh)
    for number in range(ROUNDS):
        basis = _basis(mesh, points, lamps)
        power, _ = _powers(basis, colour, pairs)
        share = power.mean(axis=1) * basis.mean(axis=0)
        if number < ROUNDS - 1:
            reach = FIRST_REACH / 2**number
            lamps = _closer(lamps, share[:-1] / share.sum(), middle, radius, reach)
    used = share[:-1] > LEAST_SHARE * share.sum()
    power = np.concatenate([power[:-1][used], power[-1:]]) / share.sum()
    return Light(lamps[used], power.astype(np.float32))


def _basis(mesh: Mesh, points: Points, lamps: np.ndarray) -> np.ndarray:  # float32 [N, K + 1]
    """What of each lamp's light arrives, and of that from everywhere."""
    columns = [arriving(mesh, points, lamp) for lamp in lamps]
    return np.stack([*columns, np.ones(len(points.position), np.float32)], axis=1)


def _powers(basis: np.ndarray, colour: np.ndarray, pairs: Pairs) -> tuple[np.ndarray, float]:
    """Powers [K, 3] of lamps whose light arrives as basis [N, K], and how badly they fit.

    Steps of Gauss and Newton on the logarithms, each with the weights of the robust loss.
    """
    count = basis.shape[1]
    mean = basis.mean(axis=0).astype(np.float64)
    power = np.full((count, 3), 1 / mean.sum())
    ratio = np.log(colour[pairs.first] / colour[pairs.second])
    for scale in SCALES:
        lit = np.maximum(basis @ power, DARKEST)
        first, second = lit[pairs.first], lit[pairs.second]
        missed = ratio - np.log(first / second)
        trust = np.sqrt(1 / (1 + np.square(missed).sum(axis=1) / scale**2))[:, None]
        for channel in range(3):
            rows = basis[pairs.first] * (trust / first[:, [channel]]).astype(np.float32)
            rows -= basis[pairs.second] * (trust / second[:, [channel]]).astype(np.float32)
            matrix = (rows.T @ rows).astype(np.float64)
            wanted = rows.T @ (trust[:, 0] * missed[:, channel]).astype(np.float32)
            size = max(float(np.trace(matrix)) / count, 1e-6)
            # Scale is free: the mean light is one.
            matrix += 100 * size * np.outer(mean, mean) + CAUTION * size * np.eye(count)
            wanted = wanted + 100 * size * mean + CAUTION * size * power[:, channel]
            root = np.linalg.cholesky(matrix)
            power[:, channel] = nnls(root.T, np.linalg.solve(root, wanted))[0]
    lit = np.log(np.maximum(basis @ power, DARKEST))
    missed = np.square(ratio - lit[pairs.first] + lit[pairs.second]).sum(axis=1)
    return power, float(np.log1p(missed / SCALES[-1] ** 2).mean())


def _closer(
    lamps: np.ndarray, share: np.ndarray, middle: np.ndarray, radius: float, reach: float
) -> np.ndarray:
    """The lamps that matter, and new ones all around the strongest."""
    order = np.argsort(-share, kind="stable")
    tried = [lamps[index] for index in order if share[index] > KEPT]
    for index in [index for index in order if share[index] > SPLIT][:MOST_SPLIT]:
        way = lamps[index] - middle
        away = float(np.linalg.norm(way))
        way = way / away
        side = np.cross(way, [0.3, 0.5, 0.8] if abs(way[0]) < 0.9 else [0.0, 0.0, 1.0])
        side /= np.linalg.norm(side)
        other = np.cross(way, side)
        for number in range(16):
            angle = np.pi / 8 * number
            ring = reach / (1 + number % 2)
            turned = way + ring * (np.cos(angle) * side + np.sin(angle) * other)
            tried.append(middle + away * turned / np.linalg.norm(turned))
        tried += [middle + ratio * away * way for ratio in NEARER if ratio * away > 1.5 * radius]
    return np.array(tried).reshape(-1, 3)


def _lattice(count: int) -> np.ndarray:  # [count, 3]
    """Directions spread evenly (Fibonacci)."""
    index = np.arange(count) + 0.5
    z = 1 - 2 * index / count
    turn = np.pi * (1 + 5**0.5) * index
    ring = np.sqrt(1 - z * z)
    return np.stack([ring * np.cos(turn), ring * np.sin(turn), z], axis=1)
