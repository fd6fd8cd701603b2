"""IMavatar's and PointAvatar's flame_params.json.

Heads are four times as large, the camera looks along -z with y up, and lenses are fractions of the
picture with a negative fx.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from avatars.formats.fields import array_field
from avatars.formats.flame_track import FlameTrack, pinhole, views
from dnr.errors import InputError
from dnr.files import MEBIBYTE, read_json, written_whole

HEAD_SCALE = 4.0
_FLIP = torch.diag(torch.tensor([1.0, -1.0, -1.0]))
_JOINTS = ("rotation", "neck", "jaw", "left eye", "right eye")


def read_imavatar(path: Path, size: tuple[int, int] = (512, 512)) -> FlameTrack:
    """The track in `path`; the file does not say how large the pictures are."""
    content = read_json(path, 512 * MEBIBYTE)
    frames = content.get("frames")
    if not isinstance(frames, list) or not frames:
        raise InputError(f"{path} has no frames; it is not IMavatar's flame_params.json")
    rows = [_row(path, frame) for frame in frames]
    matrix = torch.stack([row["world_mat"] for row in rows])
    matrix = torch.cat([matrix[:, :, :3], matrix[:, :, 3:] / HEAD_SCALE], dim=2)
    fx, fy, cx, cy = (float(v) for v in array_field(path, content, "intrinsics", "4"))
    height, width = size
    pose = torch.stack([row["pose"] for row in rows]).reshape(-1, 5, 3)
    return FlameTrack(
        shape=array_field(path, content, "shape_params", "S"),
        expression=torch.stack([row["expression"] for row in rows]),
        rotation=pose[:, 0],
        neck=pose[:, 1],
        jaw=pose[:, 2],
        eyes=pose[:, 3:],
        eyelids=torch.zeros(len(rows), 2),
        translation=torch.zeros(len(rows), 3),
        camera=views(
            _FLIP @ matrix, pinhole(-fx * width, fy * height, cx * width, cy * height), size
        ),
        images=tuple(f"{str(frame['file_path']).removeprefix('./')}.png" for frame in frames),
    )


def write_imavatar(path: Path, track: FlameTrack, marks: Tensor) -> None:
    """The track with `marks` [T, L, 2] in pixels: landmarks, whose box the trainers use.

    The format has no translation of the head: `track.translation` goes into the camera.
    """
    if track.pivot != "root":
        raise ValueError("track must turn about the root joint; use about_root")
    if track.offsets is not None:
        raise ValueError("track must have no offsets, for this format")
    height, width = track.camera.size
    matrix = track.camera.world_to_camera[:, :3]
    moved = matrix[:, :, 3:] + matrix[:, :, :3] @ track.translation[..., None]
    matrix = _FLIP @ torch.cat([matrix[:, :, :3], HEAD_SCALE * moved], dim=2)
    pose = torch.cat([track.rotation, track.neck, track.jaw, track.eyes.flatten(1)], dim=1)
    unit = marks * 2 / marks.new_tensor([width, height]) - 1
    boxes = torch.cat([unit.amin(dim=1), unit.amax(dim=1)], dim=1)
    lens = track.camera.intrinsics[0]
    frames = [
        {
            "file_path": f"./{Path(image).with_suffix('').as_posix()}",
            "world_mat": matrix[index].tolist(),
            "expression": track.expression[index].tolist(),
            "pose": pose[index].tolist(),
            "bbox": boxes[index].tolist(),
            "flame_keypoints": unit[index].tolist(),
        }
        for index, image in enumerate(track.images)
    ]
    intrinsics = [
        -float(lens[0, 0]) / width,
        float(lens[1, 1]) / height,
        float(lens[0, 2]) / width,
        float(lens[1, 2]) / height,
    ]
    content: dict[str, Any] = {"frames": frames, "intrinsics": intrinsics}
    content["shape_params"] = track.shape.tolist()
    with written_whole(path) as beside:
        beside.write_text(json.dumps(content))


def _row(path: Path, frame: Any) -> dict[str, Tensor]:
    if not isinstance(frame, dict) or "file_path" not in frame:
        raise InputError(f"{path} has a frame without file_path; write the file again")
    return {
        "world_mat": array_field(path, frame, "world_mat", "3 4"),
        "expression": array_field(path, frame, "expression", "E"),
        "pose": array_field(path, frame, "pose", f"{3 * len(_JOINTS)}"),
    }
