"""Image files as they are stored: their size without reading them, their pixels as 8-bit RGBA."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from dnr.errors import InputError

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP")  # no format whose reader starts other programs
MOST_PIXELS = 200_000_000
_ORIENTATION = 0x0112  # EXIF tag; 1 is upright
_BROKEN = (OSError, ValueError, SyntaxError, EOFError, LookupError, TypeError)


def stored_size(path: Path) -> tuple[tuple[int, int], bool]:
    """Height and width in the file's own rows; and whether its EXIF data asks for a turn."""
    with _opened(path) as image:
        return (image.height, image.width), image.getexif().get(_ORIENTATION, 1) not in (0, 1)


def read_rgba(path: Path) -> np.ndarray:  # uint8 [H, W, 4]
    """Straight (not premultiplied) colours and alpha, 255 where the file has none.

    Grey, palette, CMYK and 16-bit images are converted; EXIF orientation is not applied, because
    camera matrices refer to the rows as stored.
    """
    with _opened(path) as image:
        if image.mode.startswith("I") or image.mode == "F":
            grey = _eight_bits(path, np.asarray(image))
            return np.stack([grey, grey, grey, np.full_like(grey, 255)], axis=-1)
        if image.mode in ("CMYK", "YCbCr", "LAB", "HSV"):
            image = image.convert("RGB")  # these have no direct way to RGBA
        return np.asarray(image.convert("RGBA")).copy()


def read_mask(path: Path) -> np.ndarray:  # uint8 [H, W]
    """255 on the object, 0 off it, shades on its border."""
    rgba = read_rgba(path)
    mask = np.asarray(Image.fromarray(rgba[..., :3]).convert("L")).copy()
    if mask.max() == 1:
        raise InputError(f"the mask {path} holds only 0 and 1. Save it with 255 for the object.")
    return mask


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """The image; whatever its reader stumbles over in the block becomes an `InputError`."""
    if not path.is_file():
        raise InputError(f"there is no image {path}. Restore it or remove it from the list.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of sizes and metadata that we check
            with Image.open(path, formats=FORMATS) as image:
                if image.width * image.height > MOST_PIXELS:
                    raise InputError(
                        f"{path} has {image.width} x {image.height} pixels, too many to read. "
                        "Scale the photos and their cameras down."
                    )
                yield image
    except (*_BROKEN, struct.error, zlib.error, Image.DecompressionBombError) as error:
        raise InputError(
            f"the image {path} cannot be read: {error}. It may be cut short; copy it again."
        ) from error


def _eight_bits(path: Path, values: np.ndarray) -> np.ndarray:  # 16-bit grey in wider integers
    if values.dtype.kind == "f" or values.min() < 0 or values.max() > 0xFFFF:
        raise InputError(f"{path} holds floating-point or 32-bit pixels. Save it as 8-bit PNG.")
    return ((values.astype(np.uint32) * 255 + 0x7FFF) // 0xFFFF).astype(np.uint8)
