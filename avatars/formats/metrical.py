"""metrical-tracker's checkpoint folder: one .frame file of torch's for each picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from avatars.array_pickles import read_torch
from avatars.formats.fields import array_field, optional_field
from avatars.formats.flame_track import FlameTrack, from_six_numbers, pinhole, six_numbers, views
from avatars.heads.rotations import rotation_vectors
from dnr.errors import InputError
from dnr.files import MEBIBYTE, new_folder


def read_metrical(folder: Path) -> FlameTrack:
    """The track in `folder` (checkpoint/*.frame). The head rests; its camera moves."""
    files = sorted((folder / "checkpoint").glob("*.frame"))
    if not files:
        raise InputError(f"{folder} has no checkpoint/*.frame; give the tracker's output folder")
    frames = [_frame(path) for path in files]
    stacked = {
        name: torch.stack([frame[name] for frame in frames]) for name in frames[0] if name != "size"
    }
    sizes = {tuple(frame["size"].tolist()) for frame in frames}
    if len(sizes) != 1:
        raise InputError(f"{folder}: pictures differ in size; track the clip again")
    height, width = (round(value) for value in sizes.pop())
    zero = torch.zeros(len(files), 3)
    return FlameTrack(
        shape=stacked["shape"][0],
        expression=stacked["exp"],
        rotation=zero,
        neck=zero,
        jaw=rotation_vectors(from_six_numbers(stacked["jaw"])),
        eyes=rotation_vectors(from_six_numbers(stacked["eyes"].reshape(-1, 2, 6))),
        eyelids=stacked["eyelids"],
        translation=zero,
        camera=views(stacked["pose"], stacked["lens"], (height, width)),
        images=tuple(f"input/{path.stem}.png" for path in files),
    )


def write_metrical(
    folder: Path, track: FlameTrack, pictures: Callable[[Path], object] = lambda folder: None
) -> None:
    """Frames that hold what readers of this format use. `track` must have its head at rest."""
    if any(bool(moving.any()) for moving in (track.rotation, track.translation, track.neck)):
        raise ValueError("track must have its head at rest; move the camera instead (head_at_rest)")
    height, width = track.camera.size
    with new_folder(folder) as beside:
        (beside / "checkpoint").mkdir()
        for index, image in enumerate(track.images):
            matrix = track.camera.world_to_camera[index]
            lens = track.camera.intrinsics[index]
            content = {
                "flame": {
                    "exp": track.expression[index][None].numpy(),
                    "shape": track.shape[None].numpy(),
                    "eyes": six_numbers(track.eyes[index]).reshape(1, 12).numpy(),
                    "eyelids": track.eyelids[index][None].numpy(),
                    "jaw": six_numbers(track.jaw[index])[None].numpy(),
                },
                "opencv": {
                    "R": matrix[None, :3, :3].numpy(),
                    "t": matrix[None, :3, 3].numpy(),
                    "K": lens[None].numpy(),
                },
                "img_size": np.array([height, width]),
                "frame_id": Path(image).stem,
                "global_step": index,
            }
            torch.save(content, beside / "checkpoint" / f"{Path(image).stem}.frame")
        pictures(beside)


def _frame(path: Path) -> dict[str, Any]:
    content = read_torch(path, 16 * MEBIBYTE)
    if not isinstance(content, dict) or not {"flame", "opencv", "img_size"} <= content.keys():
        raise InputError(f"{path} is not a frame of metrical-tracker; track the clip again")
    flame, opencv = content["flame"], content["opencv"]
    fields = {name: array_field(path, flame, name, "N") for name in ("exp", "shape")}
    fields["jaw"] = array_field(path, flame, "jaw", "6")
    fields["eyes"] = array_field(path, flame, "eyes", "12")
    fields["eyelids"] = optional_field(path, flame, "eyelids", "2", (2,))
    turn = array_field(path, opencv, "R", "3 3")
    fields["pose"] = torch.cat([turn, array_field(path, opencv, "t", "3")[:, None]], dim=1)
    lens = array_field(path, opencv, "K", "3 3")
    fields["lens"] = pinhole(*(float(lens[i, j]) for i, j in ((0, 0), (1, 1), (0, 2), (1, 2))))
    fields["size"] = array_field(path, content, "img_size", "2")
    return fields
