"""Clips of an asset: where the camera goes, and the frames that it sees, a few at a time."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dnr.asset import Asset
from dnr.errors import InputError
from dnr.files import read_json
from dnr.geometry.camera_files import LONGEST_SIDE
from dnr.geometry.cameras import Camera, join_cameras
from dnr.geometry.npz_files import load_npz
from dnr.geometry.paths import load_path, orbit, through_views
from dnr.images import images_from_tensor
from dnr.progress import progress

ORBIT_FRAMES = 120
MOST_AT_ONCE = 8
"""Frames in the making; each takes about 100 MB at 512 x 512."""


def path_cameras(
    path: str,  # orbit, train, test, or the name of a JSON file
    run: Path | str,
    num_frames: int | None = None,
    height: int | None = None,
) -> Camera:
    """The views along a path, as one batch.

    orbit goes around what the run's photos look at; train and test are the places of those photos.
    By default these and the views of a file come as they are, and with `num_frames` as a smooth
    flight through them.
    """
    run = Path(run)
    if path == "orbit":
        views = _photographed(run, ("train", "test"))
        mesh = load_npz(run / "mesh.npz")
        cameras = orbit(views, mesh, ORBIT_FRAMES if num_frames is None else num_frames)
    elif path in ("train", "test"):
        cameras = _photographed(run, (path,))
    elif path.endswith(".json"):
        cameras = load_path(Path(path))
    else:
        raise InputError(f"--path must be orbit, train, test or a .json file, got {path}")
    if num_frames is not None and path != "orbit":
        cameras = through_views(cameras, num_frames)
    if height is None:
        return cameras
    return _fitted(cameras, (height, max(1, round(cameras.size[1] * height / cameras.size[0]))))


def one_size(views: list[Camera]) -> Camera:
    """All views as one batch, in their most frequent size."""
    size = Counter(view.size for view in views).most_common(1)[0][0]
    return join_cameras([_fitted(view, size) for view in views])


def render_frames(asset: Asset, cameras: Camera) -> Iterator[np.ndarray]:  # uint8 [H, W, 3] each
    """What each of `cameras` sees, in their order, with progress on stderr.

    On the CPU several frames are made at once, each by one thread: cores that share the work of one
    frame mostly wait for each other.
    """
    at_once = 1
    if asset.device.type == "cpu":
        at_once = min(max((os.cpu_count() or 1) // torch.get_num_threads(), 1), MOST_AT_ONCE)

    shared = asset.shared()

    def frame(index: int) -> np.ndarray:
        return images_from_tensor(asset.render(cameras[index], shared))[0]

    with ThreadPoolExecutor(at_once) as pool, progress(len(cameras), "rendering") as shown:
        for first in range(0, len(cameras), at_once):
            last = min(first + at_once, len(cameras))
            yield from pool.map(frame, range(first, last))
            shown.update(last)


def run_cameras(run: Path, splits: tuple[str, ...] = ("train", "test")) -> dict[str, Camera]:
    """Where the run's photos were taken, by their names; each a batch of one."""
    path = run / "asset.json"
    rows: Any = read_json(path).get("cameras")
    try:
        return {str(row["name"]): _camera(row) for row in rows if row["split"] in splits}
    except (KeyError, TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise InputError(f"the cameras in {path} are damaged; restore it") from error


def _photographed(run: Path, splits: tuple[str, ...]) -> Camera:
    """Where the run's photos were taken."""
    views = list(run_cameras(run, splits).values())
    if not views:
        raise InputError(f"{run} has no {splits[0]} views; choose another --path")
    return one_size(views)


def _camera(row: Any) -> Camera:
    """One entry of asset.json; raises ValueError or its like if it is no camera."""
    names = ("world_to_camera", "intrinsics")
    matrix, intrinsics = (torch.tensor(row[name], dtype=torch.float32) for name in names)
    height, width = (int(side) for side in row["size"])
    whole = bool(torch.isfinite(matrix).all() and torch.isfinite(intrinsics).all())
    if not whole or not all(1 <= side <= LONGEST_SIDE for side in (height, width)):
        raise ValueError("not a camera")
    return Camera(matrix[None], intrinsics[None], (height, width))


def _fitted(camera: Camera, size: tuple[int, int]) -> Camera:
    """The views in another size: nothing is cut off or stretched, the longer side shows more."""
    (height, width), old = size, camera.size
    scale = min(height / old[0], width / old[1])
    intrinsics = camera.intrinsics.clone()
    intrinsics[:, :2] *= scale
    intrinsics[:, 0, 2] += (width - old[1] * scale) / 2
    intrinsics[:, 1, 2] += (height - old[0] * scale) / 2
    return Camera(camera.world_to_camera, intrinsics, size)
