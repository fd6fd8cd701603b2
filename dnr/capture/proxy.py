"""From photos and their depths to the mesh that textures are painted on.

A `ProxySource` is anything that does this. `fused_proxy` is the usual one; poisson.py has another,
and a surface from a learned field would be a third: `build_capture` takes any of them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from scipy import ndimage

from dnr.capture.depth_maps import completed
from dnr.capture.hole_filling import filled
from dnr.capture.photos import Photos
from dnr.capture.proxy_surface import (
    Triangles,
    decimated,
    extract,
    paintable,
    seen_part,
    shell_around,
)
from dnr.capture.stereo import Depths
from dnr.capture.stereo_views import StereoView
from dnr.capture.volume import VOXELS_ALONG_DIAGONAL, Box, box_around, depth_of_exit, fuse
from dnr.errors import InputError
from dnr.geometry.cameras import Camera
from dnr.geometry.meshes import Mesh
from dnr.progress import progress
from dnr.raster.rasterize import rasterize

MOST_FACES, LEAST_FACES = 40_000, 1000
PIXELS_PER_FACE = 100  # in all photos together; smaller faces show noise
VOXELS_PER_PIXEL = 1.4  # along the diagonal of the box, and the longer side of the photos
SMOOTHING = 0.6  # voxels
POINTS_PER_VIEW = 5000  # of those that decide how large the box is
LEAST_POINTS = 1000
CLOSED = 0.9  # of all photos: a surface that fills less stands in the open
LOOK = (90, 90)  # size of the pictures that tell

ProxySource = Callable[[Photos, Depths], Mesh]
"""Makes a mesh with uvs, in the frame of the cameras, from photos and what stereo knows of them."""


def fused_proxy(photos: Photos, depths: Depths) -> Mesh:
    """The surface through the depths, without holes, with uvs, and perhaps a shell behind it."""
    views = depths.views
    with progress(6, "building the surface") as shown:
        box = scene_box(depths)
        exits = [depth_of_exit(view, box) for view in views]
        maps = [
            completed(*known) for known in zip(depths.confirmed, depths.spanned, exits, strict=True)
        ]
        shown.update(1)
        distances = fuse(box, views, maps)
        shown.update(2)
        smooth = ndimage.gaussian_filter(filled(distances), SMOOTHING)
        shown.update(3)
        surface = seen_part(extract(smooth, box), photos.cameras)
        if not len(surface[1]):
            raise InputError("the depths of the photos make no surface. Check their cameras.")
        shown.update(4)
        surface = decimated(surface, fitting_faces(depths))
        shown.update(5)
        mesh = with_shell(surface, box, photos.cameras, views)
        shown.update(6)
    return mesh


def scene_box(depths: Depths) -> Box:
    """The volume that the depths fill, in voxels about as fine as the photos' pixels."""
    pairs = zip(depths.views, depths.confirmed, strict=True)
    cloud = np.concatenate([_cloud(view, depth) for view, depth in pairs])
    if len(cloud) < LEAST_POINTS:
        raise InputError(
            "stereo found no surface that several photos agree on. Photos must be sharp, overlap, "
            "and show textured things; check that the cameras belong to them."
        )
    longer = max(max(view.grey.shape) for view in depths.views)
    return box_around(cloud, min(round(VOXELS_PER_PIXEL * longer), VOXELS_ALONG_DIAGONAL))


def fitting_faces(depths: Depths) -> int:
    """How many faces the photos can tell apart."""
    pixels = sum(view.grey.size for view in depths.views)
    return min(max(pixels // PIXELS_PER_FACE, LEAST_FACES), MOST_FACES)


def with_shell(
    surface: Triangles, box: Box, cameras: list[Camera], views: list[StereoView]
) -> Mesh:
    """The surface with uvs; and a shell behind it, so that what passes by it meets something.

    There is none where masks say what counts, nor under an open sky: what fills much of the photos
    and is no surface is far away, and backdrops are better at that.
    """
    if any(view.outside.any() for view in views) or _covered(surface, cameras) < CLOSED:
        return paintable(surface, None)
    return paintable(surface, shell_around(box, np.array([view.centre for view in views])))


def _covered(surface: Triangles, cameras: list[Camera]) -> float:
    """The share of all photos that shows the surface."""
    points, corners = torch.from_numpy(surface[0]), torch.from_numpy(surface[1])
    shares = [
        (rasterize(points, corners, camera.resized(LOOK)).face_id >= 0).double().mean()
        for camera in cameras
    ]
    return float(torch.stack(shares).mean())


def _cloud(view: StereoView, depth: np.ndarray) -> np.ndarray:  # [N, 3]
    """Some of the view's points, evenly chosen."""
    known = depth > 0
    skip = max(int(known.sum()) // POINTS_PER_VIEW, 1)
    return view.centre + (view.rays()[known] * depth[known][:, None])[::skip]
