"""A box around the scene, cut into voxels: how far each is from the nearest surface."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from dnr.capture.depth_maps import DepthMap
from dnr.capture.stereo_views import StereoView

VOXELS_ALONG_DIAGONAL = 500
MOST_VOXELS = 40_000_000  # 8 bytes each: two grids
TRUNCATION = 3.0  # voxels, to both sides of a surface
SOLID = 0.5  # of the truncation: deeper behind a surface, ever less is known. Thin things end.
FREE_WEIGHT = 0.3  # of the space before a surface
CLEAR = 0.5  # of the nearest depth that a photo measured: nothing stands in front of that
CLEAR_VOXELS = (2, 12)  # around a camera, at least and at most
PADDING = 0.25  # of the box, on each side: walls and floors go on beyond what was measured

kernel = njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc", "arcp"})


class Box(NamedTuple):
    """A regular grid: voxel (i, j, k) has its centre at `low + voxel * (i, j, k)`."""

    low: np.ndarray  # float64 [3]
    voxel: float
    shape: tuple[int, int, int]

    @property
    def high(self) -> np.ndarray:  # [3]
        """The centre of the last voxel."""
        return self.low + self.voxel * (np.array(self.shape) - 1)


def box_around(points: np.ndarray, voxels_along_diagonal: int = VOXELS_ALONG_DIAGONAL) -> Box:
    """The box of the scene: stray points are left out, and its size in voxels is bounded."""
    low, high = np.percentile(points, [0.5, 99.5], axis=0)
    low, high = low - PADDING * (high - low), high + PADDING * (high - low)
    diagonal = float(np.linalg.norm(high - low))
    if not (np.isfinite(diagonal) and diagonal > 0):
        raise ValueError(f"points must span a volume, got a diagonal of {diagonal}")
    voxel = diagonal / voxels_along_diagonal
    shape = np.ceil((high - low) / voxel).astype(int) + 1
    shape = np.maximum(shape, 8)
    assert shape.prod() <= MOST_VOXELS, "a box of this diagonal has at most d^3 / sqrt(27) voxels"
    return Box(low, voxel, (int(shape[0]), int(shape[1]), int(shape[2])))


def depth_of_exit(view: StereoView, box: Box) -> np.ndarray:  # float32 [H, W]
    """The depth at which each pixel's ray leaves the box; at least a little before the camera."""
    rays, centre = view.rays().astype(np.float64), view.centre
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = np.maximum((box.low - centre) / rays, (box.high - centre) / rays)
    leaves = np.where(np.isfinite(ends), ends, np.inf).min(axis=-1)
    least = 2 * box.voxel
    return np.maximum(leaves - 2 * TRUNCATION * box.voxel, least).astype(np.float32)


class Distances(NamedTuple):
    """Signed distances to the surface in units of the truncation, positive before it."""

    values: np.ndarray  # float32 [X, Y, Z], in [-1, 1]
    weights: np.ndarray  # float32 [X, Y, Z], 0 where no photo says anything


def fuse(box: Box, views: list[StereoView], maps: list[DepthMap]) -> Distances:
    """The weighted mean of all depth maps (Curless and Levoy, 1996)."""
    values, weights = np.zeros(box.shape, np.float32), np.zeros(box.shape, np.float32)
    low = box.low.astype(np.float32)
    for view, found in zip(views, maps, strict=True):
        trust = found.trust * (view.usable | view.outside)
        # Where a mask says that the object is not, the ray is free all along.
        depth = np.where(view.outside, np.inf, found.depth).astype(np.float32)
        trust = np.where(view.outside, 1, trust).astype(np.float32)
        matrix = (view.intrinsics @ view.world_to_camera[:3]).astype(np.float32)
        clear = CLEAR * found.nearest()
        _add_view(
            values, weights, low, np.float32(box.voxel), matrix, depth, trust, np.float32(clear)
        )
        _clear_camera(values, weights, box, view.centre, clear)
    np.divide(values, weights, out=values, where=weights > 0)
    return Distances(values, weights)


def _clear_camera(
    values: np.ndarray, weights: np.ndarray, box: Box, centre: np.ndarray, radius: float
) -> None:
    """Free the cube around a camera, which no photo shows: it stands in front of everything."""
    middle = np.rint((centre - box.low) / box.voxel)
    reach = np.clip(radius / box.voxel, *CLEAR_VOXELS).round()
    low = np.clip(middle - reach, 0, box.shape).astype(int)
    high = np.clip(middle + reach + 1, 0, box.shape).astype(int)
    here = tuple(slice(*ends) for ends in zip(low, high, strict=True))
    values[here] += 1
    weights[here] += 1


@kernel
def _add_view(values, weights, low, voxel, matrix, depth, trust, clear):
    height, width = depth.shape
    along = np.float32(1) / (np.float32(TRUNCATION) * voxel)
    step_u, step_v, step_w = voxel * matrix[0, 2], voxel * matrix[1, 2], voxel * matrix[2, 2]
    for i in range(values.shape[0]):
        x = low[0] + np.float32(i) * voxel
        for j in range(values.shape[1]):
            y = low[1] + np.float32(j) * voxel
            u = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2] * low[2] + matrix[0, 3]
            v = matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2] * low[2] + matrix[1, 3]
            w = matrix[2, 0] * x + matrix[2, 1] * y + matrix[2, 2] * low[2] + matrix[2, 3]
            for k in range(values.shape[2]):
                z = w + np.float32(k) * step_w
                if z <= voxel:
                    continue
                over = np.float32(1) / z
                column = (u + np.float32(k) * step_u) * over
                row = (v + np.float32(k) * step_v) * over
                if column < 0 or row < 0 or column >= width or row >= height:
                    continue
                r, c = int(row), int(column)
                before = (depth[r, c] - z) * along
                if before <= -1:
                    continue
                weight = np.float32(1) if z < clear else trust[r, c]
                if before > 1:
                    before = np.float32(1)
                    weight *= np.float32(FREE_WEIGHT)
                elif before < -np.float32(SOLID):
                    weight *= (np.float32(1) + before) / np.float32(1 - SOLID)
                values[i, j, k] += weight * before
                weights[i, j, k] += weight
