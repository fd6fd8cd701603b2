"""From posed photos to the mesh that textures are painted on: stereo, fusion, surface, uvs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from scipy import ndimage

from dnr.capture.depth_maps import DepthMap, completed, confirmed_depth
from dnr.capture.hole_filling import filled
from dnr.capture.neighbours import SOURCES, Neighbourhood, find_neighbourhoods
from dnr.capture.patch_match import Planes, match_planes
from dnr.capture.photos import Photos
from dnr.capture.proxy_surface import decimated, extract, paintable, seen_part, shell_around
from dnr.capture.sparse_points import SparsePoints, triangulate_features
from dnr.capture.stereo_views import StereoView, stereo_view
from dnr.capture.volume import (
    VOXELS_ALONG_DIAGONAL,
    Box,
    box_around,
    depth_of_exit,
    fuse,
)
from dnr.errors import InputError
from dnr.geometry.mesh_files import save_mesh
from dnr.geometry.meshes import Mesh
from dnr.progress import progress

STEREO_PIXELS = 129_600
"""Larger photos are reduced to so many pixels for stereo; textures come from the full size."""
MOST_FACES, LEAST_FACES = 40_000, 1000
PIXELS_PER_FACE = 100  # in all photos together; smaller faces show noise
VOXELS_PER_PIXEL = 0.9  # along the diagonal of the box, and the longer side of the photos
SMOOTHING = 0.7  # voxels
POINTS_PER_VIEW = 5000  # of those that decide how large the box is

ProxySource = Callable[[Photos], Mesh]
"""What can stand in for `stereo_proxy`: anything that makes a mesh with uvs from posed photos."""

T = TypeVar("T")
R = TypeVar("R")


class Depths(NamedTuple):
    """What stereo found out, before it becomes a surface."""

    views: list[StereoView]
    points: SparsePoints
    confirmed: list[np.ndarray]  # float32 [H, W] for each view, 0 where unknown


def stereo_height(sizes: list[tuple[int, int]]) -> int:
    """The height to which photos of such (height, width) are reduced."""
    return max(round(min(h, math.sqrt(STEREO_PIXELS * h / w))) for h, w in sizes)


def reconstruct(photos: Photos, out: Path, proxy_source: ProxySource | None = None) -> Path:
    """Make a mesh with uvs from `photos`, in the frame of their cameras, and write it to `out`."""
    save_mesh(out, (proxy_source or stereo_proxy)(photos))
    return out


def stereo_proxy(photos: Photos) -> Mesh:
    """The mesh of everything that the photos show, closed towards all of their cameras."""
    return surface_from(find_depths(photos), photos)


def find_depths(photos: Photos) -> Depths:
    """Confirmed depths of every photo."""
    if len(photos) < 3:
        raise InputError(f"{len(photos)} photos are too few to find depths. Take at least 20.")
    views = [stereo_view(photos[index], photos.cameras[index]) for index in range(len(photos))]
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
    planes = {}
    with progress(len(usable), "finding depths") as shown:
        for index, found in zip(usable, _in_threads(planes_of, usable), strict=True):
            planes[index] = found
            shown.update(len(planes))
    return Depths(views, points, _confirmed(views, places, planes))


def _confirmed(
    views: list[StereoView], places: list[Neighbourhood], planes: dict[int, Planes]
) -> list[np.ndarray]:
    """Depth maps that several views agree on; empty ones for views that share nothing."""

    def confirm(index: int) -> np.ndarray:
        if index not in planes:
            return np.zeros(views[index].grey.shape, np.float32)
        others = [other for other in places[index].sources if other in planes]
        return confirmed_depth(index, views, planes, others)

    return list(_in_threads(confirm, range(len(views))))


def surface_from(depths: Depths, photos: Photos) -> Mesh:
    """The surface through the depths, without holes, with uvs; and a shell behind it, if the
    photos have no masks: what passes by the mesh must meet something."""
    views, confirmed = depths.views, depths.confirmed
    cloud = np.concatenate([_cloud(*pair) for pair in zip(views, confirmed, strict=True)])
    if len(cloud) < 1000:
        raise InputError(
            "stereo found no surface that several photos agree on. Photos must be sharp, overlap, "
            "and show textured things; check that the cameras belong to them."
        )
    with progress(6, "building the surface") as shown:
        longer = max(max(view.grey.shape) for view in views)
        box = box_around(cloud, min(round(VOXELS_PER_PIXEL * longer), VOXELS_ALONG_DIAGONAL))
        maps = [_whole_map(*pair, box) for pair in zip(views, confirmed, strict=True)]
        shown.update(1)
        distances = fuse(box, views, maps)
        shown.update(2)
        smooth = ndimage.gaussian_filter(filled(distances), SMOOTHING)
        shown.update(3)
        surface = seen_part(extract(smooth, box), photos.cameras)
        if not len(surface[1]):
            raise InputError("the depths of the photos make no surface. Check their cameras.")
        shown.update(4)
        pixels = sum(view.grey.size for view in views)
        surface = decimated(surface, min(max(pixels // PIXELS_PER_FACE, LEAST_FACES), MOST_FACES))
        shown.update(5)
        masked = any(view.outside.any() for view in views)
        centres = np.array([view.centre for view in views])
        mesh = paintable(surface, None if masked else shell_around(box, centres))
        shown.update(6)
    return mesh


def _cloud(view: StereoView, depth: np.ndarray) -> np.ndarray:  # [N, 3]
    """Some of the view's points, evenly chosen."""
    known = depth > 0
    skip = max(int(known.sum()) // POINTS_PER_VIEW, 1)
    return view.centre + (view.rays()[known] * depth[known][:, None])[::skip]


def _whole_map(view: StereoView, depth: np.ndarray, box: Box) -> DepthMap:
    return completed(depth, depth_of_exit(view, box))


def _in_threads(work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """Results in order. The kernels release the interpreter's lock, so threads are enough."""
    with ThreadPoolExecutor(max(torch.get_num_threads(), 1)) as pool:
        yield from pool.map(work, items)
