"""Photos made ready for training: undistorted, at the wanted size, on disk until looked at."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from dnr.capture.folder import Capture, View
from dnr.capture.stored_images import read_mask, read_rgba
from dnr.capture.undistort import pinhole_map
from dnr.errors import InputError
from dnr.files import written_whole
from dnr.geometry.camera_files import Split
from dnr.geometry.cameras import Camera


class Photo(NamedTuple):
    """The pixels of one view; read-only, and read from disk as they are touched."""

    rgb: np.ndarray  # uint8 [H, W, 3]
    alpha: np.ndarray  # uint8 [H, W]: 255 on the object (everywhere if there is no mask)
    valid: np.ndarray  # uint8 [H, W]: 255, or 0 where the undistorted photo shows nothing


@dataclass(frozen=True)
class Photos:
    """All views of a capture, in its order."""

    paths: list[Path]
    cameras: list[Camera]  # each a batch of one; sizes may differ
    names: list[str]
    splits: list[Split]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Photo:
        pixels = np.load(self.paths[index], mmap_mode="r")
        return Photo(pixels[..., :3], pixels[..., 3], pixels[..., 4])

    def of(self, split: Split) -> Photos:
        """The photos for training or for testing."""
        return self.chosen([i for i, own in enumerate(self.splits) if own == split])

    def chosen(self, indices: Sequence[int]) -> Photos:
        """The photos with these numbers."""
        return Photos(
            [self.paths[i] for i in indices],
            [self.cameras[i] for i in indices],
            [self.names[i] for i in indices],
            [self.splits[i] for i in indices],
        )


def prepare_photos(capture: Capture, out: Path, height: int | None = None) -> Photos:
    """The photos of `capture`, undistorted and written to `out` as 0000.npy and so on.

    Photos higher than `height` are reduced to it by averaging areas; none is enlarged.
    """
    sizes = [_reduced(view.camera.size, height) for view in capture.views]
    _check_space(out, sum(5 * rows * columns for rows, columns in sizes))
    paths = [out / f"{number:04d}.npy" for number in range(len(sizes))]
    for view, size, path in zip(capture.views, sizes, paths, strict=True):
        pixels = _prepared(view, size)
        with written_whole(path) as beside, beside.open("wb") as file:
            np.save(file, pixels)
    return Photos(
        paths,
        [view.camera.resized(size) for view, size in zip(capture.views, sizes, strict=True)],
        [view.name for view in capture.views],
        [view.split for view in capture.views],
    )


def _reduced(size: tuple[int, int], height: int | None) -> tuple[int, int]:
    if height is None or height >= size[0]:
        return size
    return height, max(round(size[1] * height / size[0]), 1)


def _check_space(out: Path, num_bytes: int) -> None:
    """Raise before the first photo rather than after the last that fits."""
    place = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
    free = shutil.disk_usage(place).free
    if num_bytes > free:
        raise InputError(
            f"the prepared photos need {num_bytes >> 20} MiB, but {place} has {free >> 20} MiB "
            "free. Free the disk, choose another place or a smaller size."
        )


def _prepared(view: View, size: tuple[int, int]) -> np.ndarray:  # uint8 [H, W, 5]
    """RGB, alpha, valid."""
    rgba = read_rgba(view.image_path)
    if rgba.shape[:2] != view.camera.size:
        raise InputError(f"{view.image_path} changed its size while it was read. Start again.")
    see_through = bool((rgba[..., 3] < 255).any())
    if view.mask_path is not None:
        rgba = np.dstack([rgba[..., :3], read_mask(view.mask_path)])
        see_through = False  # under a mask the photo's colours are real; under alpha they are not
    intrinsics = view.camera.intrinsics[0].cpu().numpy()
    pixels = rgba.astype(np.float32)
    if see_through:
        pixels[..., :3] *= pixels[..., 3:] / 255  # so that what is invisible bleeds into nothing
    whole = np.ones(view.camera.size, np.float32)
    if any(view.distortion):
        pinhole = pinhole_map(intrinsics, view.distortion, view.camera.size)
        colours = pinhole.resample(pixels[..., :3], ringing=not see_through)
        pixels = np.dstack([colours, pinhole.resample(pixels[..., 3], ringing=False)])
        whole = pinhole.valid.astype(np.float32)
    if size != view.camera.size:
        pixels = cv2.resize(pixels, size[::-1], interpolation=cv2.INTER_AREA)
        whole = cv2.resize(whole, size[::-1], interpolation=cv2.INTER_AREA)
    if see_through:
        pixels[..., :3] *= 255 / np.maximum(pixels[..., 3:], 1)
    levels = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
    return np.dstack([levels, np.where(whole > 1 - 1e-4, 255, 0).astype(np.uint8)])
