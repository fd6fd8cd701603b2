"""`transforms.json`: posed frames in the schema that nerfstudio and instant-ngp users have.

Poses there are camera-to-world with OpenGL axes (x right, y up, z backwards).
"""

from __future__ import annotations

import json
import math
from collections import ChainMap
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from dnr.errors import InputError
from dnr.files import written_whole
from dnr.geometry.cameras import Camera

Split = Literal["train", "test"]

MOST_BYTES = 256 << 20
LONGEST_SIDE = 32_768
DISTORTION_KEYS = ("k1", "k2", "p1", "p2", "k3")
_OPENGL_TO_OPENCV = np.diag([1.0, -1.0, -1.0, 1.0])
_PINHOLES = ("OPENCV", "PINHOLE", "SIMPLE_PINHOLE", "RADIAL", "SIMPLE_RADIAL", "PERSPECTIVE")
_NOT_UNDERSTOOD = ("k4", "k5", "k6", "is_fisheye")  # lenses that this schema can name
_MOST_SCALE_ERROR = 1e-3  # of a rotation; smaller drift is rounded away


class Lens(NamedTuple):
    """What a file says about the optics of a frame; None or NaN where it says nothing."""

    size: tuple[int, int] | None  # (height, width)
    focal_px: tuple[float, float]  # x, y
    fov_rad: tuple[float, float]  # x, y; used where there is no focal length
    centre_px: tuple[float, float]  # x, y
    distortion: tuple[float, float, float, float, float]  # DISTORTION_KEYS, as OpenCV has them

    def intrinsics(self, size: tuple[int, int]) -> Tensor:  # [1, 3, 3]
        """The pinhole of images of `size`; missing parts are filled in as the schema says."""
        sides = (size[1], size[0])
        from_fov = [s / 2 / math.tan(f / 2) for s, f in zip(sides, self.fov_rad, strict=True)]
        x, y = (
            f if f == f else g for f, g in zip(self.focal_px, from_fov, strict=True)
        )  # NaN differs from itself
        x, y = (x if x == x else y), (y if y == y else x)
        cx, cy = (c if c == c else s / 2 for c, s in zip(self.centre_px, sides, strict=True))
        return torch.tensor([[[x, 0, cx], [0, y, cy], [0, 0, 1]]], dtype=torch.float32)


class Frame(NamedTuple):
    """One entry of `frames`."""

    file_path: str  # empty if there is none
    mask_path: str | None
    split: Split | None
    world_to_camera: Tensor  # [1, 4, 4], OpenCV axes
    lens: Lens

    def camera(self, size: tuple[int, int]) -> Camera:
        """The frame's pinhole for images of `size`, without its distortion."""
        return Camera(self.world_to_camera, self.lens.intrinsics(size), size)


def read_frames(path: Path) -> list[Frame]:
    """All frames of a `transforms.json`, in its order; at least one."""
    document = _document(path)
    entries = document.get("frames")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InputError(
            f'{path} has no list "frames" of objects. See the layout in dnr/capture/README.md.'
        )
    if not entries:
        raise InputError(f"{path} lists no frames. Add the photos and their cameras.")
    return [_frame(path, number, entry, document) for number, entry in enumerate(entries)]


def write_frames(path: Path, camera: Camera, file_paths: list[str] | None = None) -> None:
    """Write the views of `camera` as a `transforms.json`; their lenses stand in each frame."""
    height, width = camera.size
    to_world = torch.linalg.inv(camera.world_to_camera.detach().cpu().double()).numpy()
    frames = []
    for number, (pose, lens) in enumerate(zip(to_world, camera.intrinsics.tolist(), strict=True)):
        frames.append(
            {
                **({"file_path": file_paths[number]} if file_paths else {}),
                "transform_matrix": (pose @ _OPENGL_TO_OPENCV).tolist(),
                **{"fl_x": lens[0][0], "fl_y": lens[1][1], "cx": lens[0][2], "cy": lens[1][2]},
            }
        )
    with written_whole(path) as beside:
        beside.write_text(json.dumps({"w": width, "h": height, "frames": frames}, indent=1))


def _document(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(f"there is no {path}. It holds the cameras; see dnr/capture/README.md.")
    if path.stat().st_size > MOST_BYTES:
        raise InputError(f"{path} is larger than {MOST_BYTES >> 20} MiB. Is it the right file?")
    try:
        document = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:  # also text that is not UTF-8
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise InputError(f"{path} is not valid JSON: {reason}. Write it again.") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    if not isinstance(document, dict):
        raise InputError(f"{path} must hold a JSON object with frames. See dnr/capture/README.md.")
    return document


def _frame(path: Path, number: int, entry: dict[str, Any], document: dict[str, Any]) -> Frame:
    where = f"frame {number} of {path}"
    file_path, mask_path, split = (entry.get(key) for key in ("file_path", "mask_path", "split"))
    for key, value in (("file_path", file_path), ("mask_path", mask_path)):
        if value is not None and (not isinstance(value, str) or "\0" in value):
            raise InputError(f"{key} of {where} must be a text, got {str(value)[:40]!r}.")
    where = f"frame {number} ({file_path}) of {path}" if file_path else where
    if split not in (None, "train", "test"):
        raise InputError(f'split of {where} must be "train" or "test", got {str(split)[:40]!r}.')
    pose = torch.from_numpy(_pose(where, entry.get("transform_matrix"))).float()[None]
    lens = _lens(where, ChainMap(entry, document))
    return Frame(file_path or "", mask_path, cast(Split | None, split), pose, lens)


def _pose(where: str, rows: object) -> np.ndarray:  # [4, 4] world to camera, OpenCV axes
    try:
        matrix = np.array(rows, dtype=np.float64)
    except (ValueError, TypeError, OverflowError):
        matrix = np.zeros(0)
    if matrix.shape == (3, 4):
        matrix = np.concatenate([matrix, [[0.0, 0.0, 0.0, 1.0]]])
    if matrix.shape != (4, 4):
        raise InputError(f"transform_matrix of {where} must be 4 rows of 4 numbers. Correct it.")
    if not np.isfinite(matrix).all():
        raise InputError(f"transform_matrix of {where} has NaN or infinite entries. Remove it.")
    left, scales, right = np.linalg.svd(matrix[:3, :3])
    last_row_error = np.abs(matrix[3] - [0, 0, 0, 1]).max()
    if max(np.abs(scales - 1).max(), last_row_error) > _MOST_SCALE_ERROR:
        raise InputError(
            f"transform_matrix of {where} is not a rotation with a translation (it stretches by "
            f"{scales.min():.3g} to {scales.max():.3g}). Export the cameras without scale or shear."
        )
    rotation = left @ right
    if np.linalg.det(rotation) < 0:
        raise InputError(
            f"transform_matrix of {where} mirrors the world (its determinant is -1). "
            "Export the cameras in a right-handed frame."
        )
    matrix[:3, :3] = rotation
    to_world = matrix @ _OPENGL_TO_OPENCV
    to_camera = np.eye(4)
    to_camera[:3, :3] = to_world[:3, :3].T
    to_camera[:3, 3] = -to_world[:3, :3].T @ to_world[:3, 3]
    return to_camera


def _lens(where: str, values: Mapping[str, Any]) -> Lens:
    """What the frame, or else the top of the file, says."""
    model = values.get("camera_model", "OPENCV")
    odd = [key for key in _NOT_UNDERSTOOD if values.get(key)]
    if str(model).upper() not in _PINHOLES or odd:
        named = f"has {odd[0]}" if odd else f"is {str(model)[:40]!r}"
        raise InputError(
            f"the camera model of {where} {named}, but only pinholes with k1 k2 k3 p1 "
            "p2 are understood. Undistort the photos first, for example with COLMAP."
        )

    def number(key: str, low: float, high: float, default: float = math.nan) -> float:
        value = values.get(key, default)
        if value is default:
            return default
        fits = isinstance(value, int | float) and not isinstance(value, bool)
        if not fits or not low <= value <= high:  # also for NaN
            raise InputError(
                f"{key} of {where} must be a number from {low:g} to {high:g}, got "
                f"{str(value)[:40]}. Correct it."
            )
        return float(value)

    width, height = number("w", 1, LONGEST_SIDE), number("h", 1, LONGEST_SIDE)
    focal = number("fl_x", 1e-3, 1e7), number("fl_y", 1e-3, 1e7)
    fov = number("camera_angle_x", 1e-4, 3.14), number("camera_angle_y", 1e-4, 3.14)
    if all(math.isnan(value) for value in (*focal, *fov)):
        raise InputError(f"{where} has neither fl_x nor camera_angle_x. Add the focal length.")
    if any(side == side and side != int(side) for side in (width, height)):
        raise InputError(f"w and h of {where} must be whole, got {width} and {height}.")
    k1, k2, p1, p2, k3 = (number(key, -1e3, 1e3, 0.0) for key in DISTORTION_KEYS)
    return Lens(
        (int(height), int(width)) if width == width and height == height else None,
        focal,
        fov,
        (number("cx", -1e6, 1e6), number("cy", -1e6, 1e6)),
        (k1, k2, p1, p2, k3),
    )
