"""A tracked video laid out for training: square pictures, masks and motion, frame by frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from avatars.avatar.lens import Lens
from avatars.detectors.mediapipe import PersonMasker
from avatars.stage.plate import PlateSums
from avatars.stage.square import Square
from avatars.transfer.performance import Performance
from dnr.errors import InputError
from dnr.footage import Footage, footage_frames

PLATE_FRAMES = 150
"""Frames of the whole clip that the background at full resolution is collected from."""


@dataclass(frozen=True)
class Clip:
    """T frames. Pictures lie in files, so a long clip needs no more memory than a short one."""

    frames: np.ndarray  # uint8 [T, S, S, 3]
    masks: np.ndarray  # uint8 [T, S, S], 255 on the person
    landmarks: np.ndarray  # float32 [T, 478, 2] in pixels of the square
    performance: Performance
    square: Square
    lens: Lens

    def __len__(self) -> int:
        return len(self.performance)

    def part(self, first: int, last: int) -> Clip:
        """Frames from `first` up to and without `last`."""
        chosen = slice(first, last)
        return replace(
            self,
            frames=self.frames[chosen],
            masks=self.masks[chosen],
            landmarks=self.landmarks[chosen],
            performance=self.performance.frames(chosen),
        )


def lay_out(
    footage: Footage,
    performance: Performance,
    landmarks: np.ndarray,  # [T, 478, 2] in pixels of the frame
    focal: float,  # pixels of the frame
    square: Square,
    masker: PersonMasker,
    folder: Path,
    show: Callable[[int], object],
) -> tuple[Clip, np.ndarray]:
    """The clip, its pictures in new files in `folder`; and the background, uint8 [H, W, 3]."""
    count, size = len(performance), square.size
    folder.mkdir(parents=True, exist_ok=True)
    frames = np.lib.format.open_memmap(
        folder / "frames.npy", "w+", np.uint8, (count, size, size, 3)
    )
    masks = np.lib.format.open_memmap(folder / "masks.npy", "w+", np.uint8, (count, size, size))
    sums = PlateSums(footage.size)
    every = max(count // PLATE_FRAMES, 1)
    done = 0
    for frame in footage_frames(footage):
        if frame.number >= count:
            break
        frames[frame.number] = square.cut(frame.image)
        masks[frame.number] = np.round(255 * masker(frames[frame.number]))
        if frame.number % every == 0:
            sums.add(frame.image, masker(frame.image))
        done = frame.number + 1
        show(done)
    if done < count:
        raise InputError(
            f"{footage.path} has {done} readable frames and its track {count}; track it again"
        )
    local = (landmarks - [square.left, square.top]) * square.scale
    clip = Clip(
        frames, masks, local.astype(np.float32), performance, square, lens_of(square, focal)
    )
    plate = np.round(255 * sums.plate().image).astype(np.uint8)
    return clip, plate


def spread_frames(clip: Clip, count: int) -> list[int]:
    """Frames with a measured pose, spread over the clip."""
    found = clip.performance.found.nonzero()[:, 0].tolist() or list(range(len(clip)))
    chosen = np.linspace(0, len(found) - 1, min(count, len(found))).round().astype(int)
    return [found[index] for index in chosen]


def lens_of(square: Square, focal: float) -> Lens:  # focal in pixels of the frame
    """The tracker's camera, whose axis goes through the middle of the frame, in the square."""
    height, width = square.frame
    column = (width / 2 - square.left) * square.scale
    row = (height / 2 - square.top) * square.scale
    return Lens(focal * square.scale, (column, row), square.size)
