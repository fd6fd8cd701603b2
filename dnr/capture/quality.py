"""How good a capture is, as far as that can be told without the truth."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from dnr.capture.photos import Photos
from dnr.capture.proxy_surface import without_shell
from dnr.capture.stereo import Depths
from dnr.files import read_json
from dnr.geometry.meshes import Mesh
from dnr.raster.rasterize import rasterize


def measure(mesh: Mesh, depths: Depths, photos: Photos) -> dict[str, float | bool]:
    """Coverage of all photos, held-out ones among them, and how depths agree with the mesh.

    `coverage_*` count pixels that show the object, without the shell, which covers everything;
    in the "open", where there is neither shell nor mask, all pixels.
    `confirmed` is the share of the mesh's pixels with a depth that several photos agree on, and
    `depth_error` the median relative difference between those and the mesh.
    """
    faces = without_shell(mesh)
    masked = any(view.outside.any() for view in depths.views)
    covered = {"train": [], "test": []}
    errors, position = [np.zeros(0)], 0
    agreed, shown = 0, 0
    for index, camera in enumerate(photos.cameras):
        fragments = rasterize(mesh.vertices, faces, camera)
        photo, hit = photos[index], (fragments.face_id[0] >= 0).numpy()
        wanted = (photo.valid == 255) & (photo.alpha > 127)
        if wanted.any():
            covered[photos.splits[index]].append(float(hit[wanted].mean()))
        if photos.splits[index] == "train":
            depth = depths.confirmed[position]
            position += 1
            both = hit & (depth > 0)
            agreed, shown = agreed + int(both.sum()), shown + int(hit.sum())
            errors.append(np.abs(fragments.depth[0].numpy()[both] / depth[both] - 1)[::5])
    everywhere = covered["test"] or covered["train"]
    error = torch.from_numpy(np.concatenate(errors))
    return {
        "faces": len(mesh),
        "open": len(faces) == len(mesh) and not masked,
        "coverage_mean": float(np.mean(everywhere)) if everywhere else 0.0,
        "coverage_worst": float(np.min(everywhere)) if everywhere else 0.0,
        "confirmed": agreed / max(shown, 1),
        "depth_error": float(error.median()) if len(error) else 1.0,
        "depth_within_1_percent": float((error < 0.01).double().mean()) if len(error) else 0.0,
    }


class Row(NamedTuple):
    """One line of the quality table."""

    what: str
    measured: str
    verdict: str
    meaning: str


def quality_table(out: Path) -> list[Row]:
    """What a finished capture is like, and whether that is good."""
    record = read_json(out / "capture.json")
    rows = _poses(record["poses"]) if "poses" in record else []
    return rows + (_proxy(record["proxy"]) if "proxy" in record else [])


def _poses(poses: dict[str, Any]) -> list[Row]:
    share = poses["registered"] / max(poses["photos"], 1)
    error, angle = poses["reprojection_error_px"], poses["median_angle_deg"]
    return [
        Row(
            "photos placed",
            f"{poses['registered']} of {poses['photos']}",
            _verdict(share, 0.95, 0.5),
            "the others show too little that the rest shows",
        ),
        Row(
            "reprojection error",
            f"{error:.2f} px",
            _verdict(-error, -0.7, -1.5),
            "more: blur, a rolling shutter, or things that moved",
        ),
        Row(
            "angle between rays",
            f"{angle:.1f} deg",
            _verdict(angle, 8, 3),
            "less than 3: the camera hardly moved, and depth is a guess",
        ),
    ]


def _proxy(proxy: dict[str, Any]) -> list[Row]:
    worst, known, error = proxy["coverage_worst"], proxy["confirmed"], proxy["depth_error"]
    if proxy["open"]:
        covered = Row(
            "photos covered",
            f"{100 * proxy['coverage_mean']:.0f} %",
            "open",
            "the rest is taken to be far away: a backdrop, without a shell",
        )
    else:
        covered = Row(
            "worst photo covered",
            f"{100 * worst:.2f} %",
            _verdict(worst, 0.97, 0.9),
            "by the surface, held-out photos among them; a shell fills the rest",
        )
    return [
        covered,
        Row(
            "depth confirmed",
            f"{100 * known:.0f} %",
            _verdict(known, 0.5, 0.25),
            "of the surface's pixels, by at least two other photos; the rest is stretched over",
        ),
        Row(
            "depth of mesh and photos",
            f"{100 * error:.2f} %",
            _verdict(-error, -0.0025, -0.01),
            "median difference",
        ),
    ]


def _verdict(value: float, good: float, usable: float) -> str:
    return "good" if value >= good else "usable" if value >= usable else "poor"
