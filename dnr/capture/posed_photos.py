"""Photos with poses and lenses, from wherever they come, as `transforms.json` has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dnr.files import write_json
from dnr.geometry.camera_files import DISTORTION_KEYS, Split

LENS_KEYS = ("w", "h", "fl_x", "fl_y", "cx", "cy", *DISTORTION_KEYS)


class Pose(NamedTuple):
    """Where one photo was taken from, and through which lens."""

    name: str  # path of the photo inside its folder
    world_to_camera: np.ndarray  # float64 [4, 4], rigid, OpenCV axes
    lens: dict[str, float]  # the LENS_KEYS, in pixels with centres at +0.5
    split: Split | None = None
    mask: str | None = None


def write_transforms(
    path: Path, poses: list[Pose], folder: str = "images", kept: dict[str, Any] | None = None
) -> None:
    """Write the cameras of photos that lie in `folder` beside `path`, and what is to be `kept`."""
    frames: list[dict[str, Any]] = []
    for pose in poses:
        to_world = np.linalg.inv(pose.world_to_camera)
        to_world[:, 1:3] *= -1  # OpenCV axes to OpenGL axes
        frame: dict[str, Any] = {"file_path": f"{folder}/{pose.name}" if folder else pose.name}
        frame |= {"split": pose.split} if pose.split else {}
        frame |= {"mask_path": pose.mask} if pose.mask else {}
        frame |= {key: float(pose.lens[key]) for key in LENS_KEYS}
        frame |= {key: int(pose.lens[key]) for key in ("w", "h")}
        frames.append(frame | {"transform_matrix": to_world.tolist()})
    write_json(path, (kept or {}) | {"frames": frames})
