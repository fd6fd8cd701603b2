"""Scans exported by the phone apps Polycam (raw data) and Record3D (EXR + JPG sequence).

Both write ARKit's camera-to-world matrices: OpenGL axes, metres, y up.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from dnr.capture.posed_photos import LENS_KEYS, Pose
from dnr.capture.stored_images import stored_size
from dnr.errors import InputError
from dnr.files import read_json

_MALFORMED = (KeyError, ValueError, TypeError, IndexError)


def polycam_cameras(source: Path) -> Path | None:
    """The folder with a JSON file for each keyframe, the corrected ones if there are any."""
    for name in ("corrected_cameras", "cameras"):
        folder = source / "keyframes" / name
        if folder.is_dir() and any(folder.glob("*.json")):
            return folder
    return None


def read_polycam(source: Path) -> list[Pose]:
    """One pose for each keyframe, by time; photo names are relative to `source`."""
    folder = polycam_cameras(source)
    if folder is None:
        raise InputError(f"{source} has no keyframes/cameras. Export the raw data from Polycam.")
    images = "corrected_images" if folder.name == "corrected_cameras" else "images"
    poses = []
    for path in sorted(folder.glob("*.json"), key=lambda path: (len(path.stem), path.stem)):
        values = read_json(path)
        try:
            rows = [[float(values[f"t_{i}{j}"]) for j in range(4)] for i in range(3)]
            lens = {"w": values["width"], "h": values["height"]}
            lens |= {"fl_x": values["fx"], "fl_y": values["fy"]}
            lens |= {"cx": values["cx"], "cy": values["cy"]}
            poses.append(_pose(f"keyframes/{images}/{path.stem}.jpg", np.array(rows), lens))
        except _MALFORMED as error:
            raise InputError(f"{path} is not a Polycam camera: {error}. Export again.") from error
    return poses


def read_record3d(source: Path) -> list[Pose]:
    """One pose for each colour image; photo names are relative to `source`."""
    path = source / "metadata"
    values = read_json(path)
    try:
        # Quaternions x y z w, then positions; the matrix of the lens is stored by columns.
        numbers = np.array(values["poses"], np.float64).reshape(-1, 7)
        matrix = np.array(values["K"], np.float64).reshape(3, 3).T
        size = float(values["w"]), float(values["h"])
    except _MALFORMED as error:
        raise InputError(f"{path} is not of Record3D: {error}. Export again.") from error
    poses = []
    for index, row in enumerate(numbers):
        name = next(
            (f"rgb/{index}{s}" for s in (".jpg", ".png") if (source / f"rgb/{index}{s}").is_file()),
            None,
        )
        if name is None:
            raise InputError(f"{source} has no rgb/{index}.jpg. Export the sequence with photos.")
        height, width = stored_size(source / name)[0]
        x, y = width / size[0], height / size[1]  # photos may be stored smaller or larger
        lens = {"w": width, "h": height, "fl_x": x * matrix[0, 0], "fl_y": y * matrix[1, 1]}
        lens |= {"cx": x * matrix[0, 2], "cy": y * matrix[1, 2]}
        to_world = np.concatenate([_rotation(row[:4]), row[4:, None]], axis=1)
        poses.append(_pose(name, to_world, lens))
    return poses


def _rotation(quaternion: np.ndarray) -> np.ndarray:  # x y z w -> [3, 3]
    x, y, z, w = quaternion / np.linalg.norm(quaternion)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def _pose(name: str, to_world: np.ndarray, lens: dict[str, Any]) -> Pose:  # [3, 4], OpenGL axes
    if not np.isfinite(to_world).all():
        raise ValueError(f"the pose of {name} is not finite")
    matrix = np.eye(4)
    matrix[:3] = to_world
    matrix[:, 1:3] *= -1  # OpenGL axes to OpenCV axes
    known = {key: float(value) for key, value in lens.items()}
    return Pose(name, np.linalg.inv(matrix), {key: 0.0 for key in LENS_KEYS} | known)
