"""CAP4D's fit.npz: codes of flame2023_no_jaw with cameras, rotations about the origin.

CAP4D's program also subtracts the identity twice from its pose features, which moves every vertex
by a constant of its model; that is left out here.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from avatars.formats.fields import array_field, optional_field, same_length
from avatars.formats.flame_track import FlameTrack, pinhole, views
from dnr.array_files import load_arrays, save_arrays
from dnr.errors import InputError

_FLIP = torch.diag(torch.tensor([-1.0, -1.0, 1.0, 1.0]))  # pytorch3d's axes to OpenCV's
_LENS = {"fx": (0, 0), "fy": (1, 1), "cx": (0, 2), "cy": (1, 2)}


def read_cap4d(path: Path, view: int = 0) -> FlameTrack:
    """The track as one of the fit's cameras saw it."""
    content = load_arrays(path)
    expression = array_field(path, content, "expr", "T E")
    rotation = array_field(path, content, "rot", "T 3")
    translation = array_field(path, content, "tra", "T 3")
    frames = len(expression)
    gaze = optional_field(path, content, "eye_rot", "T 3", (frames, 3))
    neck = optional_field(path, content, "neck_rot", "T 3", (frames, 3))
    jaw = optional_field(path, content, "jaw_rot", "T 3", (frames, 3))
    same_length(
        path, expr=expression, rot=rotation, tra=translation, eye_rot=gaze, neck_rot=neck, jaw=jaw
    )
    cameras = array_field(path, content | {"extr": _at_least_3d(content)}, "extr", "V 4 4")
    lenses = [array_field(path, content, name, "V 1")[:, 0] for name in _LENS]
    sizes = array_field(path, content, "resolutions", "V 2")
    if not 0 <= view < len(cameras) or any(len(each) != len(cameras) for each in (*lenses, sizes)):
        raise InputError(f"{path} has {len(cameras)} cameras, none of them number {view}")
    height, width = (round(float(value)) for value in sizes[view])
    to_camera = (cameras[view] @ _FLIP)[:3]
    return FlameTrack(
        shape=array_field(path, content, "shape", "S"),
        expression=expression,
        rotation=rotation,
        neck=neck,
        jaw=jaw,
        eyes=gaze[:, None].expand(-1, 2, -1),
        eyelids=torch.zeros(frames, 2),
        translation=translation,
        camera=views(
            to_camera.expand(frames, 3, 4),
            pinhole(*(float(lens[view]) for lens in lenses)),
            (height, width),
        ),
        images=tuple(f"images/cam{view}/{index:05d}.png" for index in range(frames)),
        pivot="origin",
    )


def write_cap4d(path: Path, track: FlameTrack, fps: float = 25.0) -> None:
    """The track as one camera that rests; both eyes look where the left one does."""
    if track.pivot != "origin":
        raise ValueError("track must turn about the origin, for this format")
    first = track.camera.world_to_camera[:1]
    if not torch.allclose(track.camera.world_to_camera, first, atol=1e-5):
        raise ValueError("track must have one camera that does not move, for this format")
    lens, frames = track.camera.intrinsics[0], len(track)
    arrays = {
        "shape": track.shape.numpy(),
        "expr": track.expression.numpy(),
        "rot": track.rotation.numpy(),
        "tra": track.translation.numpy(),
        "eye_rot": track.eyes[:, 0].numpy(),
        "neck_rot": track.neck.numpy(),
        "extr": (first @ _FLIP).numpy(),
        "camera_order": np.array(["cam0"]),
        "resolutions": np.array([track.camera.size]),
        "fps": np.array(fps),
        "n_timesteps": np.array(frames),
        "n_views": np.array(1),
        "valid_mask": np.ones((1, frames), bool),
    }
    if track.jaw.any():
        arrays["jaw_rot"] = track.jaw.numpy()
    for name, (row, column) in _LENS.items():
        arrays[name] = lens[row, column].reshape(1, 1).numpy()
    save_arrays(path, arrays)


def _at_least_3d(content: dict[str, np.ndarray]) -> np.ndarray:
    """One camera must keep its axis."""
    return np.asarray(content.get("extr", ())).reshape(-1, 4, 4)
