"""Folders of plain photos: which ones they are, and what their cameras wrote into them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from dnr.capture.stored_images import read_rgba, stored_size
from dnr.errors import InputError
from dnr.files import new_folder

PHONE_SUFFIXES = (".heic", ".heif")  # these need a reader of their own
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", *PHONE_SUFFIXES)
LEAST_PHOTOS = 8
JPEG_QUALITY = 96
_FOCAL_35MM, _EXIF_BLOCK, _ORIENTATION = 0xA405, 0x8769, 0x0112
_DIAGONAL_35MM = 43.27  # millimetres, of a 36 x 24 frame


class Album(NamedTuple):
    """Upright photos in a folder of their own."""

    names: list[str]  # in order
    focal_px: float | None  # if all say the same
    single_lens: bool  # of one size and focal length


def photos_in(folder: Path) -> list[Path]:
    """The image files of `folder`, or of its images/ if there are more, in counting order."""
    places = [place for place in (folder, folder / "images") if place.is_dir()]
    found = [
        [path for path in place.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file()]
        for place in places
    ]
    return sorted(max(found, key=len, default=[]), key=_counting)


def collect_photos(
    folder: Path, out: Path, count: int | None = None, shown: Callable[[int], object] = int
) -> Album:
    """Bring the photos of `folder` into the new folder `out`, turned upright."""
    paths = photos_in(folder)
    if len(paths) < LEAST_PHOTOS:
        raise InputError(
            f"{folder} has no transforms.json, and its {len(paths)} photos are too few to find "
            "cameras. Take at least 20 from all around."
        )
    if count is not None and count < len(paths):
        spread = np.linspace(0, len(paths) - 1, max(count, LEAST_PHOTOS))
        paths = [paths[index] for index in spread.round().astype(int)]
    names, focals, sizes = [], [], []
    with new_folder(out) as beside:
        for number, path in enumerate(paths):
            name = f"{number:04d}{path.suffix.lower()}"
            if path.suffix.lower() in PHONE_SUFFIXES:
                name = f"{number:04d}.jpg"
                path = _as_jpeg(path, beside / name)
            (height, width), turned = stored_size(path)
            if path.parent == beside:
                pass  # it is there already, and upright
            elif turned:
                name = f"{number:04d}.jpg"
                _write_upright(path, beside / name)
            else:
                read_rgba(path)  # a broken photo is found here rather than an hour later
                shutil.copyfile(path, beside / name)
            names.append(name)
            sizes.append(tuple(sorted((height, width))))
            focals.append(_focal_px(path, (height, width)))
            shown(number + 1)
    same = len(set(sizes)) == 1 and len({round(focal or 0) for focal in focals}) == 1
    return Album(names, focals[0] if same else None, same)


def _counting(path: Path) -> list[tuple[int, str]]:
    """IMG_9 before IMG_10."""
    parts = re.findall(r"\d+|\D+", path.name.lower())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _as_jpeg(path: Path, out: Path) -> Path:
    """`out`, after the HEIC photo `path` was written there, upright, with its focal length."""
    try:
        pillow_heif = import_module("pillow_heif")  # optional: its reader is under the LGPL
    except ImportError as error:
        raise InputError(
            f"{path} is a HEIC photo, and the package that reads them is not installed. Run pip "
            "install pillow-heif, or convert the photos to JPEG."
        ) from error
    try:
        image = pillow_heif.open_heif(path).to_pillow()  # turned upright by its reader
    except (OSError, ValueError, SyntaxError, EOFError, RuntimeError) as error:
        raise InputError(f"the image {path} cannot be read: {error}. Copy it again.") from error
    exif = image.getexif()
    exif.pop(_ORIENTATION, None)
    image.convert("RGB").save(out, quality=JPEG_QUALITY, exif=exif)
    return out


def _write_upright(path: Path, out: Path) -> None:
    with Image.open(path) as image:
        ImageOps.exif_transpose(image).convert("RGB").save(out, quality=JPEG_QUALITY)


def _focal_px(path: Path, size: tuple[int, int]) -> float | None:
    """From the focal length that a full-frame camera would need, as phones write it."""
    with Image.open(path) as image:
        millimetres = image.getexif().get_ifd(_EXIF_BLOCK).get(_FOCAL_35MM)
    if not isinstance(millimetres, int | float) or not 5 <= millimetres <= 1000:
        return None
    return float(millimetres) * float(np.hypot(*size)) / _DIAGONAL_35MM
