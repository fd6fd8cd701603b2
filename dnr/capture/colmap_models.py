"""COLMAP models as its documentation describes them: cameras and images, as text or binary."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from dnr.capture.posed_photos import LENS_KEYS, Pose
from dnr.errors import InputError
from dnr.files import MEBIBYTE, read_bytes

MOST_BYTES = 4096 * MEBIBYTE
_MODELS = {  # number: name, and what its parameters are
    0: ("SIMPLE_PINHOLE", "f cx cy"),
    1: ("PINHOLE", "fl_x fl_y cx cy"),
    2: ("SIMPLE_RADIAL", "f cx cy k1"),
    3: ("RADIAL", "f cx cy k1 k2"),
    4: ("OPENCV", "fl_x fl_y cx cy k1 k2 p1 p2"),
}
_MALFORMED = (ValueError, LookupError, struct.error, UnicodeDecodeError, OverflowError)

Lenses = dict[int, dict[str, float]]


def largest_model(folder: Path) -> Path | None:
    """The folder in or under `folder` whose model has most images; None if there is no model.

    COLMAP writes one model for each piece that it could not join, in no useful order.
    """
    places = [folder, folder / "sparse", folder / "colmap" / "sparse"]
    places += [child for place in places[:3] if place.is_dir() for child in sorted(place.iterdir())]
    models = {place for place in places if _files(place) is not None}
    return max(sorted(models), key=lambda place: len(read_model(place)), default=None)


def read_model(folder: Path) -> list[Pose]:
    """The registered images of the model in `folder`, by name."""
    suffix = _files(folder)
    if suffix is None:
        raise InputError(f"{folder} has no COLMAP model (cameras and images, .bin or .txt).")
    cameras, images = folder / f"cameras{suffix}", folder / f"images{suffix}"
    try:
        if suffix == ".bin":
            lenses = _binary_lenses(read_bytes(cameras, MOST_BYTES), cameras)
            poses = _binary_poses(read_bytes(images, MOST_BYTES), lenses)
        else:
            lenses = _text_lenses(read_bytes(cameras, MOST_BYTES).decode(), cameras)
            poses = _text_poses(read_bytes(images, MOST_BYTES).decode(), lenses)
    except _MALFORMED as error:
        raise InputError(
            f"the COLMAP model in {folder} cannot be read: {str(error)[:100]}. Export it again."
        ) from error
    if not poses:
        raise InputError(f"the COLMAP model in {folder} has no registered images.")
    return sorted(poses, key=lambda pose: pose.name)


def _files(folder: Path) -> str | None:
    for suffix in (".bin", ".txt"):
        if all((folder / f"{name}{suffix}").is_file() for name in ("cameras", "images")):
            return suffix
    return None


def lens_of(number: int, width: int, height: int, values: list[float]) -> dict[str, float]:
    """The lens of COLMAP's camera model `number`, one of those that are understood."""
    words = dict(zip(_MODELS[number][1].split(), values, strict=True))
    if "f" in words:
        words |= {"fl_x": words["f"], "fl_y": words["f"]}
    return {key: 0.0 for key in LENS_KEYS} | words | {"w": width, "h": height}


def _refuse(name: str, path: Path) -> InputError:
    known = ", ".join(model for model, _ in _MODELS.values())
    return InputError(
        f"{path} uses the camera model {name}, but only {known} are understood. Undistort the "
        "images with COLMAP's image_undistorter and give its output."
    )


def _text_lenses(text: str, path: Path) -> Lenses:
    numbers = {name: number for number, (name, _) in _MODELS.items()}
    lenses = {}
    for line in text.splitlines():
        words = line.split()
        if not words or line.startswith("#"):
            continue
        if words[1] not in numbers:
            raise _refuse(words[1][:30], path)
        values = [float(word) for word in words[4:]]
        lenses[int(words[0])] = lens_of(numbers[words[1]], int(words[2]), int(words[3]), values)
    return lenses


def _text_poses(text: str, lenses: Lenses) -> list[Pose]:
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    poses = []
    for line in lines[::2]:  # each second line lists the image's points; it may be empty
        words = line.split(maxsplit=9)
        if words:
            numbers = [float(word) for word in words[1:8]]
            poses.append(_pose(words[9].strip(), numbers, lenses[int(words[8])]))
    return poses


def _binary_lenses(data: bytes, path: Path) -> Lenses:
    (count,) = struct.unpack_from("<Q", data)
    place, lenses = 8, {}
    for _ in range(count):
        key, model, width, height = struct.unpack_from("<iiQQ", data, place)
        if model not in _MODELS:
            raise _refuse(f"number {model}", path)
        length = len(_MODELS[model][1].split())
        values = struct.unpack_from(f"<{length}d", data, place + 24)
        lenses[key] = lens_of(model, width, height, list(values))
        place += 24 + 8 * length
    return lenses


def _binary_poses(data: bytes, lenses: Lenses) -> list[Pose]:
    (count,) = struct.unpack_from("<Q", data)
    place, poses = 8, []
    for _ in range(count):
        *numbers, camera = struct.unpack_from("<7di", data, place + 4)
        end = data.index(b"\0", place + 64)
        poses.append(_pose(data[place + 64 : end].decode(), numbers, lenses[camera]))
        (points,) = struct.unpack_from("<Q", data, end + 1)
        place = end + 9 + 24 * points
    return poses


def _pose(name: str, numbers: list[float], lens: dict[str, float]) -> Pose:
    """`numbers`: quaternion w x y z and translation, world to camera, OpenCV axes."""
    w, x, y, z = np.array(numbers[:4]) / np.linalg.norm(numbers[:4])
    matrix = np.eye(4)
    matrix[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    matrix[:3, 3] = numbers[4:7]
    if not np.isfinite(matrix).all():
        raise ValueError(f"the pose of {name} is not finite")
    return Pose(name, matrix, lens)
