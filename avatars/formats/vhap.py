"""VHAP's export, which GaussianAvatars and its kin train on: a folder with transforms.json."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from math import atan
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from avatars.formats.fields import array_field, optional_field, same_length
from avatars.formats.flame_track import FlameTrack, pinhole, views
from dnr.array_files import load_arrays, save_arrays
from dnr.errors import InputError
from dnr.files import new_folder, read_json

OPENGL = torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0]))  # y up, looking along -z
CANONICAL_JAW = 0.3  # radians: the mouth open, so that its inside can be learned
_CODES = ("rotation", "neck_pose", "jaw_pose", "translation")
_MALFORMED = (KeyError, TypeError, ValueError, IndexError)


def read_vhap(folder: Path, split: str | None = None) -> FlameTrack:
    """The track in `folder`; with a `split` ("train", "val", "test") of that part only.

    With several cameras each frame stands once for each of them.
    """
    path = folder / ("transforms.json" if split is None else f"transforms_{split}.json")
    content = read_json(path)
    try:
        size = round(content["h"]), round(content["w"])
        frames = list(content["frames"])
        matrices = torch.tensor([frame["transform_matrix"] for frame in frames])
        lenses = [pinhole(*(float(_of(f, content, k)) for k in _LENS)) for f in frames]
        images = tuple(str(frame["file_path"]) for frame in frames)
        files = [folder / str(frame["flame_param_path"]) for frame in frames]
    except _MALFORMED as error:
        raise InputError(f"{path} is not VHAP's: {error!r}. Export the track again.") from error
    if not frames or matrices.shape[1:] != (4, 4) or not torch.isfinite(matrices).all():
        raise InputError(f"{path} has no frames with 4x4 matrices. Export the track again.")
    to_camera = torch.linalg.inv(matrices @ OPENGL)[:, :3]
    codes = [_codes(file) for file in files]
    stacked = {name: torch.stack([code[name] for code in codes]) for name in codes[0]}
    return FlameTrack(
        shape=stacked["shape"][0],
        expression=stacked["expr"],
        rotation=stacked["rotation"],
        neck=stacked["neck_pose"],
        jaw=stacked["jaw_pose"],
        eyes=stacked["eyes_pose"].reshape(-1, 2, 3),
        eyelids=torch.zeros(len(frames), 2),
        translation=stacked["translation"],
        camera=views(to_camera, torch.stack(lenses), size),
        images=images,
        offsets=stacked["static_offset"][0] if stacked["static_offset"].any() else None,
    )


def write_vhap(
    folder: Path, track: FlameTrack, pictures: Callable[[Path], object] = lambda folder: None
) -> None:
    """The folder, with what `pictures` adds; the last tenth of the frames is for tests."""
    if track.pivot != "root":
        raise ValueError("track must turn about the root joint; use about_root")
    with new_folder(folder) as beside:
        (beside / "flame_param").mkdir()
        for index in range(len(track)):
            save_arrays(beside / f"flame_param/{index:05d}.npz", _written(track, index))
        first = _written(track, 0)
        canonical = {name: 0 * values for name, values in first.items()}
        canonical |= {name: first[name] for name in ("shape", "static_offset")}
        canonical["jaw_pose"] = np.array([[CANONICAL_JAW, 0, 0]], np.float32)
        save_arrays(beside / "canonical_flame_param.npz", canonical)
        content = _transforms(track)
        cut = max(1, len(track) - len(track) // 10)
        for name, part in (("", slice(None)), ("_train", slice(cut)), ("_test", slice(cut, None))):
            chosen = content | {"frames": content["frames"][part]}
            (beside / f"transforms{name}.json").write_text(json.dumps(chosen, indent=2))
        pictures(beside)


def read_vhap_tracking(path: Path) -> FlameTrack:
    """The track in tracked_flame_params_*.npz of a clip from one camera, before any export.

    The camera stands at z = 1 m and looks back along z.
    """
    content = load_arrays(path)
    codes = {name: array_field(path, content, name, "T 3") for name in _CODES}
    expression = array_field(path, content, "expr", "T E")
    eyes = array_field(path, content, "eyes_pose", "T 6")
    same_length(path, expr=expression, eyes=eyes, **codes)
    height, width = (round(float(v)) for v in array_field(path, content, "image_size", "2"))
    focal = float(array_field(path, content, "focal_length", "1")[0]) * max(height, width)
    to_camera = torch.cat([torch.diag(torch.tensor([1.0, -1.0, -1.0])), torch.zeros(3, 1)], dim=1)
    to_camera[2, 3] = 1.0
    lens = pinhole(focal, focal, width / 2, height / 2)
    frames = len(expression)
    return FlameTrack(
        shape=array_field(path, content, "shape", "S"),
        expression=expression,
        rotation=codes["rotation"],
        neck=codes["neck_pose"],
        jaw=codes["jaw_pose"],
        eyes=eyes.reshape(-1, 2, 3),
        eyelids=torch.zeros(frames, 2),
        translation=codes["translation"],
        camera=views(to_camera.expand(frames, 3, 4), lens, (height, width)),
        images=tuple(f"images/{index:05d}_00.png" for index in range(frames)),
    )


_LENS = ("fl_x", "fl_y", "cx", "cy")


def _of(frame: Mapping[str, Any], content: Mapping[str, Any], key: str) -> Any:
    """A lens may be the frame's own."""
    return frame[key] if key in frame else content[key]


def _codes(path: Path) -> dict[str, Tensor]:
    content = load_arrays(path)
    codes = {name: array_field(path, content, name, "3") for name in _CODES}
    codes["eyes_pose"] = array_field(path, content, "eyes_pose", "6")
    codes["shape"] = array_field(path, content, "shape", "S")
    codes["expr"] = array_field(path, content, "expr", "E")
    codes["static_offset"] = optional_field(path, content, "static_offset", "V 3", (1, 3))
    return codes


def _written(track: FlameTrack, index: int) -> dict[str, np.ndarray]:
    rows = {
        "translation": track.translation[index],
        "rotation": track.rotation[index],
        "neck_pose": track.neck[index],
        "jaw_pose": track.jaw[index],
        "eyes_pose": track.eyes[index].reshape(6),
        "expr": track.expression[index],
    }
    arrays = {name: row[None].numpy() for name, row in rows.items()}
    offsets = torch.zeros(1, 3) if track.offsets is None else track.offsets
    return arrays | {"shape": track.shape.numpy(), "static_offset": offsets[None].numpy()}


def _transforms(track: FlameTrack) -> dict[str, Any]:
    height, width = track.camera.size
    to_world = torch.linalg.inv(track.camera.world_to_camera) @ OPENGL
    frames = []
    for index, image in enumerate(track.images):
        lens = track.camera.intrinsics[index]
        frames.append(
            {
                "timestep_index": index,
                "timestep_index_original": index,
                "timestep_id": f"{index:05d}",
                "camera_index": 0,
                "camera_id": "00",
                "fl_x": float(lens[0, 0]),
                "fl_y": float(lens[1, 1]),
                "cx": float(lens[0, 2]),
                "cy": float(lens[1, 2]),
                "w": width,
                "h": height,
                "camera_angle_x": 2 * atan(width / 2 / float(lens[0, 0])),
                "camera_angle_y": 2 * atan(height / 2 / float(lens[1, 1])),
                "transform_matrix": to_world[index].tolist(),
                "file_path": image,
                "fg_mask_path": image.replace("images/", "fg_masks/"),
                "flame_param_path": f"flame_param/{index:05d}.npz",
            }
        )
    top = {k: frames[0][k] for k in (*_LENS, "w", "h", "camera_angle_x", "camera_angle_y")}
    indices = {"timestep_indices": list(range(len(frames))), "camera_indices": [0]}
    return top | indices | {"frames": frames}
