"""What somebody does in a clip, free of how they look: what drives an avatar, and its file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from avatars.heads.head import Motion
from dnr.array_files import load_arrays, save_arrays
from dnr.errors import InputError

FORMAT_VERSION = 1
MOST_FRAMES = 2_000_000  # a day; more is a mistake in the file


class Frame(NamedTuple):
    """One frame of a performance, as a batch of one."""

    motion: Motion
    pose: Tensor  # [1, 3, 4] head to camera


@dataclass(frozen=True)
class Performance:
    """T frames of motion, and the identity that it was measured on."""

    head: str  # name of the head model
    identity: Tensor  # [I]
    motion: Motion
    head_to_camera: Tensor  # [T, 3, 4], metres
    times: Tensor  # [T] float64 seconds, rising from 0
    fps: float
    found: Tensor  # [T] bool: measured, not bridged

    def __len__(self) -> int:
        return len(self.times)

    def frame(self, index: int) -> Frame:
        """What is done at one moment."""
        one = slice(index, index + 1)
        return Frame(Motion(*(field[one] for field in self.motion)), self.head_to_camera[one])

    def frames(self, chosen: slice | Tensor) -> Performance:
        """Some of the frames; times stay as they are."""
        return replace(
            self,
            motion=Motion(*(field[chosen] for field in self.motion)),
            head_to_camera=self.head_to_camera[chosen],
            times=self.times[chosen],
            found=self.found[chosen],
        )


def save_performance(path: Path, performance: Performance) -> None:
    """Write a .npz file that drives avatars without the video it was taken from."""
    save_arrays(
        path,
        {
            "format_version": np.array(FORMAT_VERSION),
            "head": np.array(performance.head),
            "fps": np.array(performance.fps),
            "identity": performance.identity.numpy(),
            "times": performance.times.numpy(),
            "found": performance.found.numpy(),
            "head_to_camera": performance.head_to_camera.numpy(),
            "expression": performance.motion.expression.numpy(),
            "gaze": performance.motion.gaze.numpy(),
            "neck": performance.motion.neck.numpy(),
        },
    )


def load_performance(path: Path) -> Performance:
    """Read what `save_performance` wrote; every array is checked."""
    arrays = load_arrays(path)
    try:
        version = int(arrays["format_version"])
        if version > FORMAT_VERSION:
            raise InputError(
                f"{path} was written by a newer version of this program; update the program"
            )
        frames = len(arrays["times"])
        expressions, identities = arrays["expression"].shape[1], len(arrays["identity"])
        shapes = {
            "times": (frames,), "found": (frames,), "head_to_camera": (frames, 3, 4),
            "expression": (frames, expressions), "gaze": (frames, 2, 2), "neck": (frames, 3),
            "identity": (identities,), "fps": (), "head": (),
        }  # fmt: skip
        wrong = [name for name, shape in shapes.items() if arrays[name].shape != shape]
        numbers = [name for name in shapes if name not in ("head", "found")]
        if wrong or not 1 <= frames <= MOST_FRAMES:
            raise ValueError(f"{', '.join(wrong) or 'times'} of a wrong size")
        if not all(np.isfinite(arrays[name]).all() for name in numbers):
            raise ValueError("numbers that are not finite")
        tensors = {name: torch.from_numpy(arrays[name].astype(np.float32)) for name in numbers}
        times, fps = torch.from_numpy(arrays["times"].astype(np.float64)), float(arrays["fps"])
        if not 0 < fps <= 1000 or bool((times.diff() <= 0).any()):
            raise ValueError("times that do not rise")
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise InputError(f"{path} is not a motion file: {error}; save it again") from error
    motion = Motion(tensors["expression"], tensors["gaze"], tensors["neck"])
    found = torch.from_numpy(arrays["found"].astype(bool))
    head, pose = str(arrays["head"]), tensors["head_to_camera"]
    return Performance(head, tensors["identity"], motion, pose, times, fps, found)
