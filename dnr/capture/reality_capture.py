"""Cameras exported by RealityCapture (RealityScan): a CSV file, or an XMP file beside each photo.

The CSV is "Internal/External camera parameters" (Alignment, Export, Registration). Numbers follow
the vendor's description of its camera: rotations take the world to OpenCV's camera axes, lengths on
the sensor are shares of the photo's longer side, and its t1 is what OpenCV calls p2.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from dnr.capture.posed_photos import Pose
from dnr.capture.stored_images import stored_size
from dnr.capture.xml_files import read_xml
from dnr.errors import InputError
from dnr.files import MEBIBYTE, read_bytes

MOST_BYTES = 64 * MEBIBYTE
FILM_MM = 36.0  # the longer side of the film that focal lengths refer to
_XCR = "{http://www.capturingreality.com/ns/xcr/1.1#}"
_PLAIN = ("perspective", "brown3", "brown3t2", "brown4", "brown4t2")
_INTERNAL = ("f", "px", "py", "k1", "k2", "k3", "k4", "t1", "t2")
_MALFORMED = (ValueError, KeyError, TypeError, np.linalg.LinAlgError, csv.Error)


def reality_capture_file(source: Path) -> Path | None:
    """The CSV file in `source`, or else the first of the XMP files with a pose beside photos."""
    for path in sorted(source.glob("*.csv")):
        if path.is_file() and _head(path).startswith(b"#name"):
            return path
    for folder in (source, source / "images"):
        for path in sorted(folder.glob("*.xmp")):
            if b"capturingreality.com" in _head(path):
                return path
    return None


def read_reality_capture(path: Path, photos: Path) -> list[Pose]:
    """The aligned cameras of the photos in the folder `photos`; in the frame of the export."""
    names = {file.stem.lower(): file.name for file in sorted(photos.iterdir()) if _is_photo(file)}
    poses = _from_csv(path, photos, names) if path.suffix == ".csv" else _from_xmp(photos, names)
    if not poses:
        raise InputError(f"{path} has no aligned cameras. Align the photos, then export again.")
    return sorted(poses, key=lambda pose: pose.name)


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(4096).removeprefix(b"\xef\xbb\xbf")


def _is_photo(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() not in (".xmp", ".csv", ".txt", ".xml", ".json")


def _from_csv(path: Path, photos: Path, names: Mapping[str, str]) -> list[Pose]:
    try:
        lines = read_bytes(path, MOST_BYTES).decode("utf-8-sig").splitlines()
        rows = list(csv.DictReader(lines))
        missing = [key for key in _INTERNAL if rows and key not in rows[0]]
        if missing:
            raise InputError(
                f"{path} has no column {missing[0]}. Export Internal/External camera parameters."
            )
        poses = []
        for row in rows:
            label = Path(row["#name"].replace("\\", "/")).name
            place = np.array([float(row[key]) for key in ("x", "y", "alt")])
            turn = _rotation(*(float(row[key]) for key in ("heading", "pitch", "roll")))
            internal = [float(row[key]) for key in _INTERNAL]
            name = names.get(Path(label).stem.lower(), label)
            poses.append(_pose(path, photos / name, turn, place, internal))
    except (*_MALFORMED, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not of RealityCapture: {error}. Export again.") from error
    return poses


def _rotation(heading: float, pitch: float, roll: float) -> np.ndarray:  # degrees -> [3, 3]
    """World to camera: at zero the camera looks down and its picture's top points along +y."""
    (cz, cy, cx), (sz, sy, sx) = (f(np.radians([heading, pitch, roll])) for f in (np.cos, np.sin))
    return np.array(
        [
            [cx * cz + sx * sy * sz, -cx * sz + cz * sx * sy, -cy * sx],
            [-cy * sz, -cy * cz, -sy],
            [cx * sy * sz - cz * sx, cx * cz * sy + sx * sz, -cx * cy],
        ]
    )


def _from_xmp(photos: Path, names: Mapping[str, str]) -> list[Pose]:
    """Photos without a file, or with a file without a pose, were not aligned."""
    poses = []
    for stem, name in names.items():
        path = next((p for p in photos.glob("*.xmp") if p.stem.lower() == stem), None)
        root = None if path is None else read_xml(path)
        if path is None or root is None:
            continue
        try:
            turn, place = _numbers(root, "Rotation"), _numbers(root, "Position")
            if not turn or not place:
                continue
            internal = _xmp_lens(path, root)
            matrix = np.array(turn).reshape(3, 3)
            poses.append(_pose(path, photos / name, matrix, np.array(place), internal))
        except _MALFORMED as error:
            raise InputError(f"{path} is not of RealityCapture: {error}. Export again.") from error
    return poses


def _xmp_lens(path: Path, root: ElementTree.Element) -> list[float]:
    """The numbers that a row of the CSV has, in its order."""
    model = (_text(root, "DistortionModel") or "perspective").lower()
    distortion = [*_numbers(root, "DistortionCoeficients"), *[0.0] * 6][:6]  # sic
    skew, aspect = _numbers(root, "Skew") or [0.0], _numbers(root, "AspectRatio") or [1.0]
    odd = abs(skew[0]) > 1e-6 or abs(aspect[0] - 1) > 1e-6
    if odd or (model not in _PLAIN and any(distortion)):
        what = "skew or an aspect ratio" if odd else f"the lens model {model}"
        raise InputError(
            f"{path} has {what}, which is not understood. Export undistorted photos with their "
            "cameras, or align with the model Brown3."
        )
    centre = [(_numbers(root, f"PrincipalPoint{axis}") or [0.0])[0] for axis in "UV"]
    return [_numbers(root, "FocalLength35mm")[0], *centre, *distortion]


def _text(root: ElementTree.Element, name: str) -> str | None:
    """Programs write properties as attributes or as elements."""
    for element in root.iter():
        if (value := element.get(_XCR + name) or element.findtext(_XCR + name)) is not None:
            return value
    return None


def _numbers(root: ElementTree.Element, name: str) -> list[float]:
    return [float(word) for word in (_text(root, name) or "").split()]


def _pose(
    path: Path, photo: Path, turn: np.ndarray, place: np.ndarray, internal: Sequence[float]
) -> Pose:
    focal_mm, along, down, k1, k2, k3, k4, t1, t2 = internal
    if abs(k4) > 1e-6:
        raise InputError(
            f"{path} describes the lens with k4, which is not understood. Export undistorted "
            "photos with their cameras, or align with the model Brown3."
        )
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = turn, -turn @ place
    if not np.isfinite(matrix).all() or np.abs(turn @ turn.T - np.eye(3)).max() > 1e-3:
        raise ValueError(f"the pose of {photo.name} is not a rotation and a place")
    if not photo.is_file():
        raise InputError(
            f"{path} lists {photo.name}, which is not in {photo.parent}. Put it there."
        )
    height, width = stored_size(photo)[0]
    longer = max(width, height)
    focal = focal_mm / FILM_MM * longer
    return Pose(
        photo.name,
        matrix,
        {
            **{"w": width, "h": height, "fl_x": focal, "fl_y": focal},
            **{"cx": width / 2 + along * longer, "cy": height / 2 + down * longer},
            **{"k1": k1, "k2": k2, "k3": k3, "p1": t2, "p2": t1},
        },
    )
