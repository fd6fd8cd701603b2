"""A visible mark on made pictures, for `--mark`."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

WORDS = "synthetic"
_HEIGHT, _LEAST_PX, _OPACITY = 0.04, 10, 0.75  # of the letters, of the picture's height


def marked(image: np.ndarray) -> np.ndarray:  # uint8 [H, W, 3 or 4], both
    """A copy with the word "synthetic" in its lower left corner, readable on any ground."""
    ink, shade = _stencil(image.shape[0], image.shape[1])
    darker = image[..., :3] * (1 - 0.6 * shade)
    colour = (darker + (255 - darker) * ink * _OPACITY).round().astype(np.uint8)
    opaque = np.maximum(image[..., 3:], (255 * shade).astype(np.uint8))  # behind the word
    return np.concatenate([colour, opaque], axis=2)


@lru_cache(maxsize=4)
def _stencil(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:  # [H, W, 1] in [0, 1]
    """Letters, and the dark band behind them."""
    size = max(round(height * _HEIGHT), _LEAST_PX)
    font = ImageFont.load_default(size)
    letters, band = Image.new("L", (width, height)), Image.new("L", (width, height))
    left, top = size // 2, height - 2 * size
    right = left + font.getlength(WORDS)
    ImageDraw.Draw(band).rectangle((0, top - size // 3, right + size // 2, height), fill=255)
    ImageDraw.Draw(letters).text((left, top), WORDS, font=font, fill=255)
    ink, shade = (np.asarray(picture, np.float32)[..., None] / 255 for picture in (letters, band))
    return ink, shade
