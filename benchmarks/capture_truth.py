"""How far cameras and a surface that were made from photos lie from the true ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.spatial import KDTree
from torch import Tensor

from dnr.capture.folder import View
from dnr.geometry.cameras import Camera
from dnr.raster.rasterize import rasterize

LOOK = (180, 180)  # size of the pictures in which visible points are collected
EVERY = 5  # of the points that are compared


class Similarity(NamedTuple):
    """Takes points p to scale * rotation p + shift."""

    scale: float
    rotation: np.ndarray  # [3, 3]
    shift: np.ndarray  # [3]

    def of(self, points: np.ndarray) -> np.ndarray:  # [N, 3]
        return self.scale * points @ self.rotation.T + self.shift


def similarity(source: np.ndarray, target: np.ndarray) -> Similarity:  # [N, 3] each
    """The one that takes `source` closest to `target` (Umeyama, 1991)."""
    a, b = source - source.mean(axis=0), target - target.mean(axis=0)
    left, scales, right = np.linalg.svd(b.T @ a)
    sign = np.array([1, 1, np.sign(np.linalg.det(left @ right))])
    rotation = left @ np.diag(sign) @ right
    scale = float((scales * sign).sum() / (a**2).sum())
    return Similarity(scale, rotation, target.mean(axis=0) - scale * rotation @ source.mean(axis=0))


class CameraErrors(NamedTuple):
    """Of cameras, after their centres were laid over the true ones."""

    fitted: Similarity  # to the true frame
    centre: float  # mean distance, as a share of that between the two farthest true cameras
    worst_centre: float
    rotation_deg: float  # mean
    focal: float  # relative, of the first camera

    def row(self) -> dict[str, float]:
        """The figures, in percent and degrees."""
        return {
            "centres, %": round(100 * self.centre, 3),
            "worst, %": round(100 * self.worst_centre, 3),
            "rotations, deg": round(self.rotation_deg, 3),
            "focal length, %": round(100 * self.focal, 2),
        }


def camera_errors(made: Sequence[View], true: Sequence[View]) -> CameraErrors:
    """Of the cameras of photos that carry the same name, whatever their folder and suffix."""
    known = {Path(view.name).stem: view.camera for view in true}
    pairs = [(v.camera, known[Path(v.name).stem]) for v in made if Path(v.name).stem in known]
    centres = [np.array([pair[k].position[0].double().numpy() for pair in pairs]) for k in (0, 1)]
    turns = [
        np.array([pair[k].world_to_camera[0, :3, :3].double().numpy() for pair in pairs])
        for k in (0, 1)
    ]
    fitted = similarity(*centres)
    away = np.linalg.norm(fitted.of(centres[0]) - centres[1], axis=1)
    away /= np.linalg.norm(centres[1][:, None] - centres[1], axis=-1).max()
    between = np.einsum("nij,kj,nlk->nil", turns[0], fitted.rotation, turns[1])
    cosine = (np.trace(between, axis1=1, axis2=2) - 1) / 2
    degrees = np.degrees(np.arccos(cosine.clip(-1, 1)))
    focals = [
        float(pairs[0][k].resized((100, 100)).intrinsics[0, [0, 1], [0, 1]].mean()) for k in (0, 1)
    ]
    return CameraErrors(
        fitted,
        float(away.mean()),
        float(away.max()),
        float(degrees.mean()),
        abs(focals[0] / focals[1] - 1),
    )


def visible_points(vertices: Tensor, faces: Tensor, cameras: Sequence[Camera]) -> np.ndarray:
    """Points of the surface as the cameras see it, [N, 3]."""
    found = []
    for camera in cameras:
        small = camera.resized(LOOK)
        depth = rasterize(vertices, faces, small).depth[0]
        rays, ahead = small.rays()[0], small.world_to_camera[0, 2, :3]
        points = small.position[0] + rays * (depth / (rays @ ahead))[..., None]
        found.append(points[depth > 0].double().numpy()[::EVERY])
    return np.concatenate(found)


def chamfer(made: np.ndarray, true: np.ndarray) -> float:  # [N, 3] each
    """Mean of the mean distances from one to the nearest of the other, both ways."""
    there, back = KDTree(true).query(made)[0], KDTree(made).query(true)[0]
    return float(np.mean(there) + np.mean(back)) / 2


def laid_over(made: np.ndarray, true: np.ndarray, rounds: int = 30) -> np.ndarray:  # [N, 3]
    """`made` after it was moved, turned and scaled to where it lies closest (ICP)."""
    tree = KDTree(true)
    for _ in range(rounds):
        distance, nearest = (np.asarray(found) for found in tree.query(made))
        close = distance < np.percentile(distance, 95)
        made = similarity(made[close], true[nearest[close]]).of(made)
    return made
