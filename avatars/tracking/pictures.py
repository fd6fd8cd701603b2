"""The third pass: the crop and the person's mask in every frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from avatars.detectors.mediapipe import PersonMasker
from avatars.tracking.crops import cut
from dnr.errors import InputError
from dnr.footage import Footage, footage_frames

MASKS = "masks"


class Picture(NamedTuple):
    """One crop."""

    number: int
    image: np.ndarray  # uint8 [S, S, 3]
    mask: np.ndarray  # uint8 [S, S], 255 on the person


def mask_path(folder: Path, number: int) -> Path:
    """Where the mask of one frame is."""
    return folder / MASKS / f"{number:06d}.png"


def write_masks(
    footage: Footage,
    crop: np.ndarray,  # [T, 2, 3]
    size: int,
    masker: PersonMasker,
    folder: Path,
    show: Callable[[int], object],
) -> None:
    """Write the masks that an earlier attempt has not written."""
    (folder / MASKS).mkdir(exist_ok=True)
    start = max(len(list((folder / MASKS).glob("*.png"))) - 1, 0)  # the last may be torn
    for frame in footage_frames(footage, start=start, broken=lambda sentence: None):
        if frame.number >= len(crop):
            break
        mask = masker(cut(frame.image, crop[frame.number], size))
        levels = np.clip(255 * mask, 0, 255).round().astype(np.uint8)
        mask_path(folder, frame.number).write_bytes(cv2.imencode(".png", levels)[1].tobytes())
        show(frame.number + 1)


def pictures(
    footage: Footage, crop: np.ndarray, size: int, folder: Path, start: int = 0, every: int = 1
) -> Iterator[Picture]:
    """Crops and their masks, in order, decoded as they are asked for."""
    for frame in footage_frames(footage, start=start, broken=lambda sentence: None):
        if frame.number >= len(crop):
            return
        if (frame.number - start) % every == 0:
            crop_image = cut(frame.image, crop[frame.number], size)
            yield Picture(frame.number, crop_image, read_mask(folder, frame.number))


def read_mask(folder: Path, number: int) -> np.ndarray:  # uint8 [S, S]
    """The person's mask in one frame, in the crop's pixels, 255 on the person."""
    path = mask_path(folder, number)
    mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if mask is None:
        raise InputError(f"{path} is missing or damaged. Track the video again.")
    return mask
