"""INSTA's input folder: transforms.json, a mesh for each frame, and expression codes as text."""

from __future__ import annotations

import json
from collections.abc import Callable
from math import atan, degrees
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from avatars.flame.model import Flame
from avatars.formats.flame_track import FlameTrack, pinhole, track_vertices, views
from dnr.errors import InputError
from dnr.files import new_folder, read_bytes, read_json
from dnr.geometry.cameras import Camera
from dnr.geometry.mesh_files import save_mesh
from dnr.geometry.meshes import Mesh

TEST_FRAMES = 350  # from the end, as INSTA's script has it by default
DEPTH_SCALE = 1 / 1000


class InstaScene(NamedTuple):
    """What the folder says; identity is only in its meshes."""

    expression: Tensor  # [T, E]
    camera: Camera  # T views
    images: tuple[str, ...]
    meshes: tuple[Path, ...]  # T files
    is_test: Tensor  # [T] bool


def read_insta(folder: Path) -> InstaScene:
    """The scene in `folder`. Its matrices have OpenCV's axes, unlike those of NeRF's data."""
    path = folder / "transforms.json"
    content = read_json(path)
    try:
        frames = sorted(content["frames"], key=lambda frame: str(frame["file_path"]))
        size = round(content["h"]), round(content["w"])
        lens = pinhole(*(float(content[key]) for key in ("fl_x", "fl_y", "cx", "cy")))
        to_world = torch.tensor([frame["transform_matrix"] for frame in frames])
        images = tuple(str(frame["file_path"]) for frame in frames)
        meshes = tuple(folder / str(frame["mesh_path"]) for frame in frames)
        codes = [_numbers(folder / str(frame["exp_path"])) for frame in frames]
        expression = torch.from_numpy(np.stack(codes))
        camera = views(torch.linalg.inv(to_world)[:, :3], lens, size)
        tested = {str(frame["file_path"]) for frame in _frames(folder / "transforms_test.json")}
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{path} is not INSTA's: {error}. Export the track again.") from error
    return InstaScene(
        expression, camera, images, meshes, torch.tensor([image in tested for image in images])
    )


def write_insta(
    folder: Path,
    track: FlameTrack,
    flame: Flame,
    template: Mesh,  # for its uvs
    pictures: Callable[[Path], object] = lambda folder: None,
) -> None:
    """The folder, with what `pictures` adds. At most half of the clip is for tests."""
    vertices = track_vertices(flame, track)
    shape = track.shape[None]
    canonical = flame.template + torch.tensordot(shape, flame.shape[: shape.shape[1]], dims=1)[0]
    to_world = torch.linalg.inv(track.camera.world_to_camera)
    frames = []
    with new_folder(folder) as beside:
        (beside / "meshes").mkdir()
        (beside / "flame" / "exp").mkdir(parents=True)
        save_mesh(beside / "canonical.obj", _mesh(template, canonical))
        for index, image in enumerate(track.images):
            name = Path(image).stem
            save_mesh(beside / "meshes" / f"{name}.obj", _mesh(template, vertices[index]))
            code = track.expression[index].numpy()
            np.savetxt(beside / "flame" / "exp" / f"{name}.txt", code, fmt="%.8f")
            frames.append(
                {
                    "transform_matrix": to_world[index].tolist(),
                    "file_path": f"images/{name}.png",
                    "mesh_path": f"meshes/{name}.obj",
                    "exp_path": f"flame/exp/{name}.txt",
                    "depth_path": f"depth/{name}.png",
                    "seg_mask_path": f"seg_mask/{name}.png",
                }
            )
        top = _lens(track.camera)
        cut = len(frames) - min(TEST_FRAMES, len(frames) // 2)
        parts = {"": frames, "_train": frames[:cut], "_test": frames[cut:], "_val": frames[-20:]}
        for name, part in parts.items():
            text = json.dumps(top | {"frames": part}, indent=4, sort_keys=True)
            (beside / f"transforms{name}.json").write_text(text)
        pictures(beside)


def _mesh(template: Mesh, vertices: Tensor) -> Mesh:
    return template.moved(vertices.float())


def _lens(camera: Camera) -> dict[str, Any]:
    (height, width), lens = camera.size, camera.intrinsics[0]
    angle_x = 2 * atan(width / 2 / float(lens[0, 0]))
    angle_y = 2 * atan(height / 2 / float(lens[1, 1]))
    return {
        "w": float(width),
        "h": float(height),
        "cx": float(lens[0, 2]),
        "cy": float(lens[1, 2]),
        "fl_x": float(lens[0, 0]),
        "fl_y": float(lens[1, 1]),
        "camera_angle_x": angle_x,
        "camera_angle_y": angle_y,
        "x_fov": degrees(angle_x),
        "y_fov": degrees(angle_y),
        "integer_depth_scale": DEPTH_SCALE,
    }


def _frames(path: Path) -> list[Any]:
    return read_json(path)["frames"] if path.is_file() else []


def _numbers(path: Path) -> np.ndarray:
    return np.array(read_bytes(path, 1 << 20).split(), np.float32)
