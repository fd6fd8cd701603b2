"""Marked points on FLAME's surface, from the files that go with the model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from avatars.array_pickles import read_npy, read_pickle
from avatars.flame.model import FACES, FlamePose
from avatars.heads.rotations import rotation_matrices
from dnr.array_files import load_arrays
from dnr.errors import InputError

CONTOUR_ROWS = 79  # one for each degree of yaw: 0 to 39, then -1 to -39


class SurfacePoints(NamedTuple):
    """Points fixed to faces."""

    face: Tensor  # [*, L] int64
    weights: Tensor  # [*, L, 3]

    def on(self, vertices: Tensor, faces: Tensor) -> Tensor:  # [B, V, 3], [F, 3] -> [B, L, 3]
        """Where they are; each mesh of the batch may have its own points."""
        corners = faces[self.face]  # [L, 3] or [B, L, 3]
        if corners.ndim == 2:
            positions = vertices[:, corners]
        else:
            rows = torch.arange(len(vertices), device=vertices.device)[:, None, None]
            positions = vertices[rows, corners]
        return (positions * self.weights.to(vertices)[..., None]).sum(dim=-2)


@dataclass(frozen=True)
class FlameLandmarks:
    """The 68 points of iBUG: 17 on the contour, which slide as the head turns, and 51 fixed."""

    static: SurfacePoints  # [51], or [53] with the irises
    contour: SurfacePoints  # [79, 17]
    full: SurfacePoints | None  # [68] or [70], all fixed, for the plain 3D points


def landmarks_68(
    landmarks: FlameLandmarks,
    vertices: Tensor,  # [B, V, 3]
    faces: Tensor,  # [F, 3]
    pose: FlamePose,
    published: Literal["flame", "deca"] = "flame",
) -> Tensor:  # [B, 68, 3]
    """Contour, then brows, nose, eyes and mouth. Differentiable but for the choice of contour.

    The two published programs read the table of contours with opposite signs of yaw; weights
    that were trained with DECA's expect "deca".
    """
    row = contour_row(pose, published)
    moving = SurfacePoints(
        landmarks.contour.face.to(row.device)[row], landmarks.contour.weights.to(row.device)[row]
    )
    fixed = SurfacePoints(landmarks.static.face[:51], landmarks.static.weights[:51])
    return torch.cat([moving.on(vertices, faces), fixed.on(vertices, faces)], dim=1)


def contour_row(pose: FlamePose, published: Literal["flame", "deca"]) -> Tensor:  # [B] int64
    """Which row of the contour table a pose sees: whole degrees of yaw, at most 39 to a side."""
    turn = rotation_matrices(pose.root) @ rotation_matrices(pose.neck)
    yaw = torch.atan2(-turn[:, 2, 0], turn[:, :2, 0].norm(dim=1)).rad2deg()
    degrees = (yaw if published == "deca" else -yaw).clamp(max=39).round().long()
    far = torch.full_like(degrees, CONTOUR_ROWS - 1)
    return torch.where(degrees >= 0, degrees, torch.where(degrees < -39, far, 39 - degrees))


def load_landmarks(path: Path, dynamic: Path | None = None) -> FlameLandmarks:
    """The points in landmark_embedding.npy, or in a static .pkl with its `dynamic` .npy."""
    if dynamic is not None:
        fixed, moving = read_pickle(path), read_npy(dynamic)
        names = ("lmk_face_idx", "lmk_b_coords")
        return FlameLandmarks(_points(path, fixed, *names), _contour(dynamic, moving, *names), None)
    content = read_npy(path)
    full = None
    if isinstance(content, dict) and "full_lmk_faces_idx" in content:
        whole = _points(path, content, "full_lmk_faces_idx", "full_lmk_bary_coords")
        full = SurfacePoints(whole.face.reshape(-1), whole.weights.reshape(-1, 3))
    return FlameLandmarks(
        _points(path, content, "static_lmk_faces_idx", "static_lmk_bary_coords"),
        _contour(path, content, "dynamic_lmk_faces_idx", "dynamic_lmk_bary_coords"),
        full,
    )


def load_mediapipe_points(path: Path) -> tuple[SurfacePoints, Tensor]:
    """The points in mediapipe_landmark_embedding.npz, and their numbers in mediapipe's mesh."""
    content = load_arrays(path)
    points = _points(path, content, "lmk_face_idx", "lmk_b_coords")
    number = np.asarray(content.get("landmark_indices", ()))
    if number.shape != points.face.shape or number.dtype.kind not in "iu":
        raise _different(path, "landmark_indices do not fit the points")
    return points, torch.from_numpy(number.astype(np.int64))


def _points(path: Path, content: Any, face_name: str, weights_name: str) -> SurfacePoints:
    if not isinstance(content, dict) or not {face_name, weights_name} <= content.keys():
        raise _different(path, f"{face_name} or {weights_name} is missing")
    face, weights = np.asarray(content[face_name]), np.asarray(content[weights_name])
    if face.dtype.kind not in "iu" or weights.dtype.kind != "f":
        raise _different(path, f"{face_name} or {weights_name} are not numbers")
    if face.size == 0 or weights.shape != (*face.shape, 3):
        raise _different(path, f"{weights_name} is {list(weights.shape)} for {list(face.shape)}")
    if not 0 <= face.min() <= face.max() < FACES or not np.isfinite(weights).all():
        raise _different(path, f"{face_name} points outside of the mesh")
    return SurfacePoints(
        torch.from_numpy(face.astype(np.int64)), torch.from_numpy(weights.astype(np.float64))
    )


def _contour(path: Path, content: Any, face_name: str, weights_name: str) -> SurfacePoints:
    points = _points(path, content, face_name, weights_name)
    if points.face.shape != (CONTOUR_ROWS, 17):
        raise _different(path, f"{face_name} is {list(points.face.shape)} instead of [79, 17]")
    return points


def _different(path: Path, reason: str) -> InputError:
    return InputError(
        f"{path} does not hold FLAME's landmarks: {reason}. Give landmark_embedding.npy as it "
        "comes with DECA or VHAP."
    )
