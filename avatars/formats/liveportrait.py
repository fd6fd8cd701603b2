"""LivePortrait's motion templates (.pkl): poses and its own implicit expression, frame by frame."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from avatars.array_pickles import read_pickle
from avatars.formats.fields import array_field
from dnr.errors import InputError
from dnr.files import written_whole

KEYPOINTS = 21
_EYES, _LIPS = ("c_eyes_lst", "c_d_eyes_lst"), ("c_lip_lst", "c_d_lip_lst")


class PortraitMotion(NamedTuple):
    """T frames. The expression only means something to LivePortrait's own networks.

    Its axes are x right, y down, z away; openings are heights over widths, as landmarks give them.
    """

    scale: Tensor  # [T]
    rotation: Tensor  # [T, 3, 3], for row vectors, as it is stored
    expression: Tensor  # [T, 21, 3]
    translation: Tensor  # [T, 3]
    eye_opening: Tensor | None  # [T, 2]; some templates have none
    lip_opening: Tensor | None  # [T]
    fps: float


def read_motion(path: Path) -> PortraitMotion:
    """The template in `path`, which is not run."""
    content = read_pickle(path)
    motion = content.get("motion") if isinstance(content, dict) else None
    if not isinstance(motion, list) or not motion:
        raise InputError(f"{path} has no motion; it is not a template of LivePortrait")
    turn = "R" if isinstance(motion[0], dict) and "R" in motion[0] else "R_d"
    return PortraitMotion(
        torch.stack([array_field(path, frame, "scale", "1") for frame in motion])[:, 0],
        torch.stack([array_field(path, frame, turn, "3 3") for frame in motion]),
        torch.stack([array_field(path, frame, "exp", f"{KEYPOINTS} 3") for frame in motion]),
        torch.stack([array_field(path, frame, "t", "3") for frame in motion]),
        _openings(path, content, _EYES, len(motion), "2"),
        _lips(_openings(path, content, _LIPS, len(motion), "1")),
        float(
            array_field(path, {"output_fps": [content.get("output_fps", 25)]}, "output_fps", "1")
        ),
    )


def write_motion(path: Path, motion: PortraitMotion) -> None:
    """A template that LivePortrait reads."""
    frames = [
        {
            "scale": motion.scale[index].reshape(1, 1).numpy(),
            "R": motion.rotation[index][None].numpy(),
            "exp": motion.expression[index][None].numpy(),
            "t": motion.translation[index][None].numpy(),
        }
        for index in range(len(motion.scale))
    ]
    content: dict[str, Any] = {"n_frames": len(frames), "output_fps": motion.fps, "motion": frames}
    if motion.eye_opening is not None:
        content[_EYES[0]] = [row[None].numpy() for row in motion.eye_opening]
    if motion.lip_opening is not None:
        content[_LIPS[0]] = [row.reshape(1, 1).numpy() for row in motion.lip_opening]
    with written_whole(path) as beside, beside.open("wb") as file:
        pickle.dump(content, file)


def _openings(
    path: Path, content: dict[str, Any], names: tuple[str, ...], frames: int, spec: str
) -> Tensor | None:
    stored = next((content[name] for name in names if content.get(name)), None)
    if stored is None:
        return None
    if len(stored) != frames:
        raise InputError(f"{path} has {len(stored)} openings for {frames} frames; make it again")
    return torch.stack([array_field(path, {names[0]: row}, names[0], spec) for row in stored])


def _lips(opening: Tensor | None) -> Tensor | None:
    return None if opening is None else opening[:, 0]
