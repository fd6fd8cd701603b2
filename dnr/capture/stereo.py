"""What posed photos tell about depth: matched, checked against each other, spread over blanks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import torch

from dnr.capture.agreement import votes
from dnr.capture.blank_areas import spanned_depth
from dnr.capture.depth_maps import confirmed_depth
from dnr.capture.neighbours import SOURCES, Neighbourhood, find_neighbourhoods
from dnr.capture.outlines import without_spread
from dnr.capture.patch_match import Planes, match_planes
from dnr.capture.photos import Photos
from dnr.capture.sparse_points import SparsePoints, triangulate_features
from dnr.capture.stereo_views import StereoView, stereo_view
from dnr.errors import InputError
from dnr.files import written_whole
from dnr.progress import progress

STEREO_PIXELS = 129_600
"""Larger photos are reduced to so many pixels for stereo; textures come from the full size."""
LEAST_AGREEING = 2  # other views, to believe a depth that was stretched over a blank area
MOST_VOTERS = 60  # views that may see through a depth: evidence of free space comes from all sides

T = TypeVar("T")
R = TypeVar("R")


class Depths(NamedTuple):
    """What stereo found out, before it becomes a surface."""

    views: list[StereoView]
    points: SparsePoints
    confirmed: list[np.ndarray]  # float32 [H, W] for each view, 0 where unknown
    spanned: list[np.ndarray]  # float32 [H, W]: between them, where other views agree; else 0


def stereo_height(sizes: list[tuple[int, int]]) -> int:
    """The height to which photos of such (height, width) are reduced."""
    return max(round(min(h, math.sqrt(STEREO_PIXELS * h / w))) for h, w in sizes)


def find_depths(photos: Photos) -> Depths:
    """Confirmed depths of every photo."""
    if len(photos) < 3:
        raise InputError(f"{len(photos)} photos are too few to find depths. Take at least 20.")
    views = stereo_views(photos)
    with progress(len(views), "comparing details") as shown:
        points = triangulate_features(views, shown.update)
    places = find_neighbourhoods(views, points)
    alone = [photos.names[i] for i, place in enumerate(places) if len(place.sources) < 2]
    if len(alone) > len(views) // 2:
        raise InputError(
            f"{len(alone)} of {len(views)} photos share nothing with others, the first is "
            f"{alone[0]}. Photos must overlap, and the camera must move between them."
        )

    def planes_of(index: int) -> Planes:
        place = places[index]
        sources = [views[source] for source in place.sources[:SOURCES]]
        return match_planes(views[index], sources, place.nearest, place.farthest, seed=index)

    usable = [index for index, place in enumerate(places) if len(place.sources) >= 2]
    found = _each(planes_of, usable, "finding depths")
    planes = dict(zip(usable, found, strict=True))
    confirmed = _confirmed(views, places, planes)
    return Depths(views, points, *settled(views, places, confirmed))


def stereo_views(photos: Photos) -> list[StereoView]:
    """The photos as stereo sees them."""
    return [stereo_view(photos[index], photos.cameras[index]) for index in range(len(photos))]


def _confirmed(
    views: list[StereoView], places: list[Neighbourhood], planes: dict[int, Planes]
) -> list[np.ndarray]:
    """Depth maps that several views agree on, without what many others see through; empty ones
    for views that share nothing."""

    def confirm(index: int) -> np.ndarray:
        if index not in planes:
            return np.zeros(views[index].grey.shape, np.float32)
        others = [other for other in places[index].sources if other in planes]
        return confirmed_depth(index, views, planes, others)

    everywhere = np.linspace(0, len(views) - 1, min(len(views), MOST_VOTERS)).astype(int).tolist()

    def carve(index: int) -> np.ndarray:
        others = [other for other in everywhere if other != index]
        said = votes(index, views, found[index], found, others)
        return np.where(2 * said.through > said.agreeing, 0, found[index])

    found = _each(confirm, range(len(views)), "confirming depths")
    return list(_in_threads(carve, range(len(views))))


def settled(
    views: list[StereoView], places: list[Neighbourhood], confirmed: list[np.ndarray]
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The confirmed depths, and depths over blank areas where what other views measured or spanned
    agrees with them; both without what things spread over their outlines."""

    def agreed(index: int) -> tuple[np.ndarray, np.ndarray]:
        said = votes(index, views, guesses[index], whole, places[index].sources)
        sure = (said.agreeing >= LEAST_AGREEING) & (2 * said.through <= said.agreeing)
        spanned = np.where(sure & views[index].usable, guesses[index], 0)
        # Only now: features of a wall also spread, but there what lies between them is known.
        kept = without_spread(np.maximum(confirmed[index], spanned), views[index].grey) > 0
        return confirmed[index] * kept, spanned * kept

    guesses = _each(spanned_depth, confirmed, "filling blank areas")
    whole = [np.maximum(*pair) for pair in zip(confirmed, guesses, strict=True)]
    kept, spanned = zip(*_in_threads(agreed, range(len(views))), strict=True)
    return list(kept), list(spanned)


def save_depths(path: Path, depths: Depths) -> None:
    """Write what `load_depths` needs beside the photos."""
    maps = {f"confirmed{i}": depth for i, depth in enumerate(depths.confirmed)}
    maps |= {f"spanned{i}": depth for i, depth in enumerate(depths.spanned)}
    points = {"positions": depths.points.positions, "pairs": depths.points.pairs}
    with written_whole(path) as beside, beside.open("wb") as file:
        np.savez(file, **maps, **points)  # pyright: ignore[reportArgumentType]


def load_depths(path: Path, photos: Photos) -> Depths:
    """What was found before for the same photos; where their masks say so now, without depth."""
    views = stereo_views(photos)
    with np.load(path) as stored:  # NumPy's default refuses pickles
        points = SparsePoints(stored["positions"], stored["pairs"])
        maps = [
            [stored[f"{kind}{i}"] * view.usable for i, view in enumerate(views)]
            for kind in ("confirmed", "spanned")
        ]
    return Depths(views, points, *maps)


def _each(work: Callable[[T], R], items: Iterable[T], title: str) -> list[R]:
    """All results, while the progress is shown."""
    items = list(items)
    results = []
    with progress(len(items), title) as shown:
        for result in _in_threads(work, items):
            results.append(result)
            shown.update(len(results))
    return results


def _in_threads(work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """Results in order. The kernels release the interpreter's lock, so threads are enough."""
    with ThreadPoolExecutor(max(torch.get_num_threads(), 1)) as pool:
        yield from pool.map(work, items)
