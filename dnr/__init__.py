"""Deferred neural rendering of any mesh: posed images and a mesh become a neural asset.

Conventions, used everywhere inside and written nowhere else
------------------------------------------------------------
camera axes   OpenCV: x right, y down, z forward; `world_to_camera` matrices
pixels        centres at +0.5; row 0 on top; sizes are `(height, width)`
uv            (0, 0) is the bottom-left corner of the texture, (1, 1) the top-right
colour        RGB, float in [0, 1]
tensors       images `[B, C, H, W]`; per-pixel geometry `[B, H, W, *]`; lists of points `[N, *]`
directions    unit vectors in the object's own frame; `view` points from the surface to the camera

Foreign conventions (OpenGL camera-to-world, pytorch3d NDC, BGR, uint8) are converted inside the
file that touches that library or format.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "Asset": "dnr.asset",
    "Camera": "dnr.geometry.cameras",
    "InputError": "dnr.errors",
    "Mesh": "dnr.geometry.meshes",
    "TrainOptions": "dnr.training.options",
    "images_from_tensor": "dnr.images",
    "load_mesh": "dnr.geometry.mesh_files",
    "path_cameras": "dnr.clips",
    "render_frames": "dnr.clips",
    "train": "dnr.training.run",
    "write_clip": "dnr.video",
}
"""The public names, and the file of each. torch is imported when the first of them is asked for."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
