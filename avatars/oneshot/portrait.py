"""A photo, painting or drawing from a file, as 8-bit RGB, upright."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from dnr.errors import InputError
from dnr.files import read_bytes

FILE_BYTES = 256 << 20
MOST_PIXELS = 200_000_000  # a photo of 200 million; checked before any of them is decoded
LONGEST_SIDE = 1280  # of the film that is made
SHORTEST_SIDE = 64
PAPER = (255, 255, 255)  # under what is transparent
_WIDE = ("I;16", "I;16B", "I;16L", "I", "F")


class Portrait(NamedTuple):
    image: np.ndarray  # uint8 [H, W, 3]
    notes: list[str]  # sentences about what had to be changed


def read_portrait(path: Path) -> Portrait:
    """The picture in `path`, at most `LONGEST_SIDE` on a side."""
    data = read_bytes(path, FILE_BYTES)
    notes: list[str] = []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # sizes are checked here; odd tags do no harm
            with Image.open(io.BytesIO(data)) as file:
                whole = max(file.size)
                image = _decoded(path, file, notes)
    except Image.DecompressionBombError as error:
        raise InputError(_too_large(path)) from error
    except (OSError, ValueError, SyntaxError, EOFError, MemoryError) as error:
        raise InputError(
            f"{path} cannot be read as a picture ({_one_line(error)}). Save it as JPEG or PNG."
        ) from error
    if min(image.size) < SHORTEST_SIDE:
        raise InputError(
            f"{path} is only {image.width} x {image.height} pixels. A portrait needs at least "
            f"{SHORTEST_SIDE} on each side."
        )
    return Portrait(_shrunk(image, whole, notes), notes)


def _decoded(path: Path, file: Image.Image, notes: list[str]) -> Image.Image:
    if file.width * file.height > MOST_PIXELS:
        raise InputError(_too_large(path))
    if getattr(file, "n_frames", 1) > 1:
        notes.append("the picture is animated; its first frame is used")
    file.seek(0)
    file.draft("RGB", (2 * LONGEST_SIDE, 2 * LONGEST_SIDE))  # JPEGs decode to near this at once
    image: Image.Image = ImageOps.exif_transpose(file) or file
    if image.mode in _WIDE:
        notes.append("16 bits a pixel became 8")
        return Image.fromarray(_eight_bits(np.asarray(image, np.float64))).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        opaque = image.convert("RGBA")
        notes.append("transparent parts became white")
        paper = Image.new("RGBA", opaque.size, (*PAPER, 255))
        return Image.alpha_composite(paper, opaque).convert("RGB")
    return image.convert("RGB")


def _eight_bits(values: np.ndarray) -> np.ndarray:  # [H, W] -> uint8
    """Up to 1, 255 or 65535: whichever the largest value fits."""
    values = np.nan_to_num(values)
    top = float(values.max(initial=0))
    full = next((end for end in (1.0, 255.0, 65535.0) if top <= end), top)
    return np.clip(np.round(255 * values / full), 0, 255).astype(np.uint8)


def _shrunk(image: Image.Image, whole: int, notes: list[str]) -> np.ndarray:
    """`whole` is the longest side in the file, which the decoder may have cut down already."""
    longest = max(image.size)
    if longest > LONGEST_SIDE:
        scale = LONGEST_SIDE / longest
        size = max(round(image.width * scale), 1), max(round(image.height * scale), 1)
        notes.append(
            f"the picture was made smaller: {size[0]} x {size[1]} pixels; "
            f"its longest side was {whole}"
        )
        image = image.resize(size, Image.Resampling.LANCZOS)
    return np.array(image)


def _too_large(path: Path) -> str:
    return f"{path} has more than {MOST_PIXELS // 1_000_000} million pixels. Make it smaller first."


def _one_line(error: BaseException) -> str:
    words = str(error) or type(error).__name__
    return words.replace("\n", " ").split("<")[0].strip()[:120]
