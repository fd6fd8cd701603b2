"""Pictures as files and as tensors: the only place where uint8 and [0, 1] meet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from dnr.files import written_whole
from dnr.shapes import check_shape

FULL_ERROR = 0.1
"""Absolute error, of the full range, that error images show in their brightest colour."""
_MARGIN, _TEXT, _PAPER, _INK = 8, 16, (246, 246, 246), (40, 40, 40)  # contact sheets, in pixels


def tensor_from_images(
    images: np.ndarray | Sequence[np.ndarray],  # uint8 [H, W, 3], [B, H, W, 3] or B of [H, W, 3]
    like: Tensor | None = None,
) -> Tensor:  # [B, 3, H, W] in [0, 1]
    """One batch in the dtype and on the device of `like` (float32 on the CPU without it)."""
    stack = np.asarray(images)
    stack = stack[None] if stack.ndim == 3 else stack
    if stack.dtype != np.uint8 or stack.ndim != 4 or stack.shape[-1] != 3:
        raise ValueError(f"images must be uint8 [B, H, W, 3], got {stack.dtype} {stack.shape}")
    target = torch.empty(0) if like is None else like
    return torch.tensor(stack).to(target.device).permute(0, 3, 1, 2).to(target.dtype) / 255


def images_from_tensor(tensor: Tensor) -> np.ndarray:  # [B, 3, H, W] -> uint8 [B, H, W, 3]
    """The nearest 8-bit colours; values outside [0, 1] are clamped."""
    check_shape("tensor", tensor, "B 3 H W")
    levels = tensor.detach().float().clamp(0, 1).mul(255).round().to(torch.uint8)
    return np.ascontiguousarray(levels.permute(0, 2, 3, 1).cpu().numpy())


def png_bytes(image: np.ndarray) -> bytes:  # uint8 [H, W, 3]
    """The picture as a lossless PNG file."""
    return _encoded(image, ".png", [cv2.IMWRITE_PNG_COMPRESSION, 4])


def jpeg_bytes(image: np.ndarray, quality: int = 90) -> bytes:  # uint8 [H, W, 3]
    """The picture as a JPEG file with colours at full resolution."""
    full_colour = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    return _encoded(image, ".jpg", [cv2.IMWRITE_JPEG_QUALITY, quality, *full_colour])


def _encoded(image: np.ndarray, suffix: str, options: list[int]) -> bytes:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[-1] != 3:
        raise ValueError(f"image must be uint8 [H, W, 3], got {image.dtype} {image.shape}")
    done, data = cv2.imencode(suffix, image[..., ::-1], options)  # OpenCV's channels are BGR
    if not done:
        raise ValueError(f"image must fit into a {suffix} file, got {image.shape}")
    return data.tobytes()


def write_png(path: Path, image: np.ndarray) -> None:  # uint8 [H, W, 3]
    """Write `image` whole or not at all."""
    data = png_bytes(image)
    with written_whole(path) as beside:
        beside.write_bytes(data)


def heat_image(values: np.ndarray, scale: float) -> np.ndarray:  # [H, W] -> uint8 [H, W, 3]
    """Black at 0, over purple and orange to pale yellow at `scale` and above."""
    if scale <= 0:
        raise ValueError(f"scale must be positive, got {scale}")
    levels = np.clip(values / scale * 255, 0, 255).round().astype(np.uint8)
    return np.ascontiguousarray(cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO)[..., ::-1])


def error_image(
    truth: np.ndarray,  # uint8 [H, W, 3]
    render: np.ndarray,  # uint8 [H, W, 3]
    scale: float = FULL_ERROR,
) -> np.ndarray:  # uint8 [H, W, 3]
    """Heat map of the absolute difference, mean over the channels; brightest from `scale` on."""
    if truth.shape != render.shape:
        raise ValueError(f"render must have the truth's shape {truth.shape}, got {render.shape}")
    difference = np.abs(truth.astype(np.float32) - render.astype(np.float32)).mean(axis=-1)
    return heat_image(difference / 255, scale)


def contact_sheet(
    rows: list[list[np.ndarray]],  # uint8 [H, W, 3] of any sizes
    captions: list[list[str]],  # one above each picture; "" for none
) -> np.ndarray:  # uint8 [H, W, 3]
    """All pictures on one light sheet, row by row, each under its caption."""
    if [len(row) for row in rows] != [len(row) for row in captions]:
        raise ValueError("captions must come one per picture, row by row")
    if not any(rows):
        raise ValueError("rows must hold at least one picture, got none")
    font = ImageFont.load_default(_TEXT)
    columns = range(max(map(len, rows)))
    widths = [max(row[c].shape[1] for row in rows if c < len(row)) for c in columns]
    heads = [_TEXT + _MARGIN if any(texts) else 0 for texts in captions]
    heights = [
        head + max((image.shape[0] for image in row), default=0)
        for head, row in zip(heads, rows, strict=True)
    ]
    size = (sum(widths) + _MARGIN * (len(widths) + 1), sum(heights) + _MARGIN * (len(rows) + 1))
    sheet = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(sheet)
    top = _MARGIN
    for row, texts, head, height in zip(rows, captions, heads, heights, strict=True):
        left = _MARGIN
        for image, text, width in zip(row, texts, widths, strict=False):  # rows may be shorter
            draw.text((left, top), _shortened(text, font, width), font=font, fill=_INK)
            sheet.paste(Image.fromarray(image), (left, top + head))
            left += width + _MARGIN
        top += height + _MARGIN
    return np.asarray(sheet).copy()


def _shortened(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width_px: int) -> str:
    """As much of `text` as fits, so that captions never run into their neighbours."""
    while text and font.getlength(text) > width_px:
        text = text[:-2].rstrip(".") + "…" if len(text) > 2 else ""
    return text
