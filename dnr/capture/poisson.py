"""The surface through all depths at once (Kazhdan and Hoppe, 2013), as pycolmap solves it.

It runs in a process of its own with one thread: solving may take much memory, and with several
threads it gives another mesh each time.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from dnr.capture.photos import Photos
from dnr.capture.proxy import fitting_faces, scene_box, with_shell
from dnr.capture.proxy_surface import Triangles, decimated, seen_part
from dnr.capture.stereo import Depths
from dnr.errors import InputError
from dnr.geometry.mesh_arrays import PointArrays
from dnr.geometry.mesh_files import load_mesh
from dnr.geometry.meshes import Mesh
from dnr.geometry.ply_files import ply_bytes
from dnr.progress import progress

MOST_POINTS = 300_000
LONGEST_S = 600
"""Of solving; it takes a few seconds."""


def poisson_proxy(photos: Photos, depths: Depths) -> Mesh:
    """Like `fused_proxy`: smoother and never with holes, but with bulges where nothing was seen."""
    with progress(3, "building the surface (Poisson)") as shown:
        box = scene_box(depths)
        points, normals = _oriented_points(depths)
        inside = ((points >= box.low) & (points <= box.high)).all(axis=1)
        surface = solve(points[inside], normals[inside])
        shown.update(1)
        surface = decimated(seen_part(surface, photos.cameras), fitting_faces(depths))
        if not len(surface[1]):
            raise InputError("the depths of the photos make no surface. Check their cameras.")
        shown.update(2)
        mesh = with_shell(surface, box, photos.cameras, depths.views)
        shown.update(3)
    return mesh


def _oriented_points(depths: Depths) -> tuple[np.ndarray, np.ndarray]:  # [N, 3], [N, 3]
    """Measured points, and unit normals that look towards the camera."""
    points, normals = [], []
    each = MOST_POINTS // len(depths.views)
    for view, depth in zip(depths.views, depths.confirmed, strict=True):
        place = view.centre + view.rays() * depth[..., None]
        across = np.cross(place[1:-1, 2:] - place[1:-1, :-2], place[2:, 1:-1] - place[:-2, 1:-1])
        length = np.linalg.norm(across, axis=-1)
        known = depth > 0
        whole = known[1:-1, 2:] & known[1:-1, :-2] & known[2:, 1:-1] & known[:-2, 1:-1]
        whole &= known[1:-1, 1:-1] & (length > 0)
        skip = max(int(whole.sum()) // each, 1)
        points.append(place[1:-1, 1:-1][whole][::skip])
        # Rows run down and columns right: right times down looks away from the camera.
        normals.append(-(across / np.maximum(length, 1e-30)[..., None])[whole][::skip])
    return np.concatenate(points), np.concatenate(normals)


def solve(points: np.ndarray, normals: np.ndarray) -> Triangles:  # [N, 3], [N, 3]
    """The surface as triangles that are seen from where the normals look."""
    if find_spec("pycolmap") is None:
        raise InputError(
            "a Poisson surface needs the package pycolmap; run pip install pycolmap==4.2.1"
        )
    nothing = np.zeros((0, 3), np.int32)
    with tempfile.TemporaryDirectory() as scratch:
        before, after = Path(scratch) / "points.ply", Path(scratch) / "surface.ply"
        places = str(before), str(after)
        before.write_bytes(ply_bytes(PointArrays(points, normals, None, nothing)))
        command = [sys.executable, "-m", "dnr.capture.poisson_process", *places]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST_S)
        except subprocess.TimeoutExpired as error:
            raise InputError(f"the Poisson surface took more than {LONGEST_S} s.") from error
        if done.returncode or not (after.is_file() and after.stat().st_size):  # it may say nothing
            last = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
            raise InputError(f"the Poisson surface could not be solved: {last}")
        mesh = load_mesh(after)
    return mesh.vertices.numpy(), mesh.faces.numpy().astype(np.int32)
