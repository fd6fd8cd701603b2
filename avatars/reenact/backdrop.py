"""What is behind the person: what was filmed there, one colour, or another picture."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from PIL import ImageColor

from dnr.errors import InputError
from dnr.files import read_bytes

CAPTURED, TRANSPARENT = "captured", "transparent"
_IMAGE_BYTES = 256 << 20


def backdrop(text: str, size: tuple[int, int]) -> np.ndarray | None:  # uint8 [H, W, 3]
    """The picture that `--background` asks for; None for what was filmed."""
    if text == CAPTURED:
        return None
    path = Path(text)
    if path.is_file():
        return _covering(path, size)
    try:
        colour = ImageColor.getrgb(text)[:3]
    except ValueError as error:
        raise InputError(
            f"--background {text} is neither {CAPTURED} nor {TRANSPARENT}, nor a colour such as "
            "green or #00ff00, nor an image file"
        ) from error
    return np.full((*size, 3), colour, np.uint8)


def _covering(path: Path, size: tuple[int, int]) -> np.ndarray:
    """The image, its middle cut out so that it fills `size` without being stretched."""
    data = np.frombuffer(read_bytes(path, _IMAGE_BYTES), np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    if image is None:
        raise InputError(f"{path} is not an image that can be read; convert it to PNG or JPEG")
    height, width = size
    scale = max(height / image.shape[0], width / image.shape[1])
    shape = (max(round(image.shape[1] * scale), width), max(round(image.shape[0] * scale), height))
    image = cv2.resize(image, shape, interpolation=cv2.INTER_AREA)
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return np.ascontiguousarray(image[top : top + height, left : left + width, ::-1])
