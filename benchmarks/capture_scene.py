"""One bench scene through the whole chain, its own photos in and nothing else, beside the truth."""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.capture_truth import camera_errors, chamfer, laid_over, visible_points
from benchmarks.scenes import OpenScene, capture_folder
from benchmarks.timing import threads
from benchmarks.training import Variant, step_seconds, train_for
from dnr.capture.build import CaptureOptions, build_capture
from dnr.capture.folder import Capture, load_capture, load_capture_mesh
from dnr.capture.photos import prepare_photos
from dnr.capture.proxy_surface import without_shell
from dnr.files import read_json
from dnr.geometry.mesh_files import load_mesh
from dnr.synthetic.config import SceneConfig
from dnr.training.presets import Recipe, for_made_mesh, recipe


def measure_scene(config: SceneConfig, seconds: float, out: Path) -> dict[str, Any]:
    """One row: cameras and surface against the truth, and PSNR after equal budgets of training."""
    truth = capture_folder(config, out)
    made = out / "made" / truth.name
    began = time.process_time()
    with threads(1):
        build_capture(truth / "images", made, CaptureOptions(yes=True))
    spent = time.process_time() - began
    found, true = load_capture(made), load_capture(truth)
    errors = camera_errors(found.views, true.views)
    row: dict[str, Any] = {"scene": config.scene}
    row |= {"placed": f"{len(found.views)} of {len(true.views)}"}
    row |= {"reprojection, px": read_json(made / "capture.json")["poses"]["reprojection_error_px"]}
    row |= errors.row()
    surface, exact = load_mesh(made / "mesh.obj"), load_mesh(truth / "mesh.obj")
    cameras = [view.camera for view in true.views]
    fitted = torch.from_numpy(errors.fitted.of(surface.vertices.double().numpy())).float()
    seen = visible_points(fitted, without_shell(surface), cameras)
    real = visible_points(exact.vertices, exact.faces, cameras)
    size = exact.diameter()
    row["Chamfer, %"] = round(100 * chamfer(seen, real) / size, 3)
    row["of the best fit, %"] = round(100 * chamfer(laid_over(seen, real), real) / size, 3)
    if seconds:
        best = recipe("best")
        own = psnr_after(found, for_made_mesh(best), seconds, out)
        given = psnr_after(_with_splits(true, found), best, seconds, out)
        row |= {"PSNR, dB": round(own, 2), "given the truth": round(given, 2)}
        row["between them"] = round(given - own, 2)
    return row | {"CPU s": round(spent)}


def psnr_after(capture: Capture, chosen: Recipe, seconds: float, out: Path) -> float:
    """Of held-out views, after `seconds` of one core's time for everything but reading photos."""
    mesh, _ = load_capture_mesh(capture)
    with tempfile.TemporaryDirectory(dir=out) as scratch:
        folder = Path(scratch)
        photos = prepare_photos(capture, folder / "photos")
        scene = OpenScene(mesh, photos.of("train"), photos.of("test"), folder)
        variant = Variant(chosen)
        each = step_seconds(variant, scene, seconds)
        return train_for(variant, scene, seconds, each, capture.folder.name).figures["psnr"]


def _with_splits(true: Capture, found: Capture) -> Capture:
    """The true views of the photos that were placed, held out alike."""
    splits = {Path(view.name).stem: view.split for view in found.views}
    views = [
        view._replace(split=splits[Path(view.name).stem])
        for view in true.views
        if Path(view.name).stem in splits
    ]
    return replace(true, views=views)
