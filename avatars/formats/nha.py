"""Neural Head Avatars: tracked_flame_params.npz, and split.json beside it.

Its cameras are pytorch3d's (x left, y up), its vectors are rows, and its principal point counts
rows from the bottom.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from avatars.formats.fields import array_field, same_length
from avatars.formats.flame_track import FlameTrack, pinhole, views
from dnr.array_files import load_arrays, save_arrays

_FLIP = torch.diag(torch.tensor([-1.0, -1.0, 1.0]))
_CODES = {"rotation": "rotation", "neck": "neck_pose", "jaw": "jaw_pose"}
_CODES |= {"translation": "translation"}


def read_nha(path: Path) -> FlameTrack:
    """The track in `path`; pictures are those of its data folder, by frame number."""
    content = load_arrays(path)
    codes = {name: array_field(path, content, key, "T 3") for name, key in _CODES.items()}
    expression = array_field(path, content, "expr", "T E")
    eyes = array_field(path, content, "eyes_pose", "T 6")
    frame = array_field(path, content, "frame", "T")
    same_length(path, expr=expression, eyes=eyes, frame=frame, **codes)
    height, width = (round(float(v)) for v in array_field(path, content, "image_size", "2"))
    if np.ndim(content.get("K", 0)) == 1:
        focal, across, up = (float(v) for v in array_field(path, content, "K", "3"))
        pixels = focal * max(height, width)
        lens = pinhole(pixels, pixels, across * width, height - up * height)
    else:
        lens = array_field(path, content, "K", "3 3").clone()
        lens[1, 2] = height - lens[1, 2]
    matrix = array_field(path, content, "RT", "3 4")
    to_camera = _FLIP @ torch.cat([matrix[:, :3].T, matrix[:, 3:]], dim=1)
    return FlameTrack(
        shape=array_field(path, content, "shape", "S"),
        expression=expression,
        eyes=eyes.reshape(-1, 2, 3),
        eyelids=torch.zeros(len(frame), 2),
        camera=views(to_camera.expand(len(frame), 3, 4), lens, (height, width)),
        images=tuple(f"frame_{int(number):04d}/image_0000.png" for number in frame),
        rotation=codes["rotation"],
        neck=codes["neck"],
        jaw=codes["jaw"],
        translation=codes["translation"],
    )


def write_nha(path: Path, track: FlameTrack) -> None:
    """The track as one file; its camera must not move."""
    if track.pivot != "root":
        raise ValueError("track must turn about the root joint; use about_root")
    camera, (height, width) = track.camera, track.camera.size
    first = camera.world_to_camera[0, :3]
    if not torch.allclose(camera.world_to_camera[:, :3], first, atol=1e-5):
        raise ValueError("track must have one camera that does not move, for this format")
    lens = camera.intrinsics[0]
    if abs(float(lens[0, 0] - lens[1, 1])) > 1e-3 * float(lens[0, 0]):
        raise ValueError("track must have square pixels, for this format")
    flipped = _FLIP @ first
    arrays = {key: getattr(track, name).numpy() for name, key in _CODES.items()}
    arrays |= {
        "shape": track.shape.numpy(),
        "expr": track.expression.numpy(),
        "eyes_pose": track.eyes.reshape(-1, 6).numpy(),
        "frame": np.arange(len(track)),
        "image_size": np.array([height, width]),
        "K": np.array(
            [
                float(lens[0, 0]) / max(height, width),
                float(lens[0, 2]) / width,
                1 - float(lens[1, 2]) / height,
            ]
        ),
        "RT": torch.cat([flipped[:, :3].T, flipped[:, 3:]], dim=1).numpy(),
    }
    save_arrays(path, arrays)
