"""Landmarks that were recorded before, by this program or another, as a detector."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from avatars.detectors.faces import NUM_POINTS, Face, FaceDetector, from_ibug
from dnr.array_files import load_arrays
from dnr.errors import InputError


def recorded_detector(path: Path) -> FaceDetector:
    """Returns for the n-th picture the n-th row of `points` in the .npz file `path`.

    `points` is [T, 478, 2], [T, 468, 2] (mediapipe) or [T, 68, 2] (iBUG) in pixels, columns first;
    a third coordinate is left out; a frame of NaN has no face. What lies beyond its end has none.
    """
    return replay(_points(path))


def replay(points: np.ndarray) -> FaceDetector:  # [T, 478 | 468 | 68, 2]
    """The same for points in memory."""
    rows = iter(points)

    def detect(image: np.ndarray) -> list[Face]:
        row = next(rows, None)
        if row is None or not np.isfinite(row).any():
            return []
        if len(row) == 68:
            return [from_ibug(row, 1.0)]
        full = np.full((NUM_POINTS, 2), np.nan, np.float32)
        full[: len(row)] = row[:, :2]
        return [Face(full, 1.0)]

    return detect


def _points(path: Path) -> np.ndarray:  # float32 [T, 478 | 468 | 68, 2]
    points = load_arrays(path).get("points", np.zeros(0))
    known = points.ndim == 3 and points.shape[1] in (NUM_POINTS, 468, 68)
    if not known or points.shape[2] not in (2, 3) or points.dtype.kind not in "fiu":
        raise InputError(
            f"{path} must hold numbers named points, [frames, 478 or 468 or 68, 2 or 3], and holds "
            f"{points.dtype} {list(points.shape)}. Record the landmarks again."
        )
    return points[..., :2].astype(np.float32)
