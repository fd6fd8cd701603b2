"""Where the pictures are taken from: even coverage for training, a held-out path for testing."""

from __future__ import annotations

import numpy as np
import torch

from dnr.geometry.cameras import Camera, intrinsics_from_fov, look_at

GOLDEN_ANGLE = np.pi * (3 - 5**0.5)


def band(count: int, lowest: float, highest: float, turn: float = 0.0) -> np.ndarray:  # [count, 3]
    """Unit vectors evenly spread (Fibonacci) over the part of the sphere with z in a range."""
    index = np.arange(count) + 0.5
    z = highest - (highest - lowest) * index / count
    return _around(z, turn + GOLDEN_ANGLE * index)


def spiral(
    count: int, lowest: float, highest: float, turns: float = 3.0
) -> np.ndarray:  # [count, 3]
    """Unit vectors on one path from the top down, unrelated to `band`."""
    share = (np.arange(count) + 0.5) / max(count, 1)
    return _around(highest - (highest - lowest) * share, 0.5 + 2 * np.pi * turns * share)


def _around(z: np.ndarray, angle: np.ndarray) -> np.ndarray:
    radius = np.sqrt(1 - z**2)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), z], axis=1)


def aim(
    positions: np.ndarray,  # [B, 3]
    targets: np.ndarray,  # [3] or [B, 3]
    vertical_fov_deg: float,
    size: tuple[int, int],
) -> Camera:
    """Cameras at `positions` that look at `targets`, with z upwards; double precision.

    The field of view is that of the image's shorter side.
    """
    like = torch.from_numpy(np.ascontiguousarray(positions))
    up = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
    shorter = min(size)
    intrinsics = intrinsics_from_fov(vertical_fov_deg, (shorter, shorter), like)
    intrinsics[:, 0, 2], intrinsics[:, 1, 2] = size[1] / 2, size[0] / 2
    matrices = look_at(like, torch.from_numpy(np.asarray(targets, np.float64)), up)
    return Camera(matrices, intrinsics.expand(len(like), 3, 3), size)
