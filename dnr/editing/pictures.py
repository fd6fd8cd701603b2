"""Pictures to put on a surface: files beside the recipe, and text."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, UnidentifiedImageError

from dnr.editing.fields import Fields
from dnr.errors import InputError
from dnr.files import MEBIBYTE, read_bytes

LIMIT_BYTES = 64 * MEBIBYTE
MOST_PIXELS = 64_000_000
LETTER_PX = 160
"""Height of text before it is laid onto the surface: finer than any texture shows it."""
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF")


def read_picture(folder: Path, fields: Fields, name: str = "image") -> np.ndarray:
    """The picture beside the recipe, [H, W, 4] in [0, 1], colours multiplied by their alpha."""
    return load_picture(picture_path(folder, fields, name), fields)


def picture_path(folder: Path, fields: Fields, name: str = "image") -> Path:
    """Where a picture lies; its path is relative to the recipe and must not lead elsewhere."""
    relative = fields.text(name)
    path = os.path.normpath(folder.absolute() / relative.replace("\\", "/"))
    inside = os.path.relpath(path, os.path.normpath(folder.absolute()))
    if inside == "." or Path(inside).parts[0] == "..":
        fields.refuse(f"{name} {relative!r} is outside of the recipe's folder; put it beside it")
    return Path(path)


def load_picture(path: Path, fields: Fields) -> np.ndarray:  # float32 [H, W, 4]
    """The picture in a file, for the operation of `fields`."""
    try:
        data = read_bytes(path, LIMIT_BYTES)
    except InputError as error:
        fields.refuse(str(error))
    return decoded(data, path.name, fields)


def decoded(data: bytes, name: str, fields: Fields) -> np.ndarray:  # float32 [H, W, 4]
    """The pixels of an encoded picture; its size is checked before room is made for it."""
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                fields.refuse(f"{name} has {image.width} x {image.height} pixels; make it smaller")
            pixels = np.asarray(image.convert("RGBA"), np.float32) / 255
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        fields.refuse(f"{name} is not a picture that can be read (PNG, JPEG, WebP): {error}")
    pixels[..., :3] *= pixels[..., 3:]
    return pixels


def text_picture(text: str, colour: np.ndarray) -> np.ndarray:  # float32 [H, W, 4]
    """Text in the font that comes with Pillow, cut to its letters, multiplied by its alpha."""
    font = ImageFont.load_default(LETTER_PX)
    measure = ImageDraw.Draw(Image.new("L", (1, 1)))
    left, top, right, bottom = measure.multiline_textbbox((0, 0), text, font=font)
    size = (max(round(right - left), 1) + 2, max(round(bottom - top), 1) + 2)
    image = Image.new("L", size)
    ImageDraw.Draw(image).multiline_text((1 - left, 1 - top), text, fill=255, font=font)
    alpha = np.asarray(image, np.float32)[..., None] / 255
    return np.concatenate([alpha * colour, alpha], axis=-1)
