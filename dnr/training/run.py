"""Training from the command line: capture folder in, run folder out. Reads top to bottom."""

from __future__ import annotations

import json
import platform
import shutil
import sys
import time
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from dnr import __version__
from dnr.asset import Asset
from dnr.capture.folder import load_capture, load_capture_mesh
from dnr.capture.photos import Photos, prepare_photos
from dnr.device import choose_device
from dnr.errors import InputError
from dnr.files import write_json, written_whole
from dnr.geometry.meshes import Mesh
from dnr.images import images_from_tensor, tensor_from_images, write_png
from dnr.progress import progress
from dnr.training.evaluation import Scored, definition, score, summary
from dnr.training.metrics import lpips_or_none, psnr
from dnr.training.options import TrainOptions
from dnr.training.presets import Recipe, recipe
from dnr.training.report import Report, View, write_report
from dnr.training.state import TrainingState, load_checkpoint, new_state, save_checkpoint
from dnr.training.steps import step
from dnr.training.views import Views, lay_out_views
from dnr.training.warm_start import (
    coverage,
    find_backdrop,
    fitting_texture,
    project_photos,
    start_from_noise,
    start_neural_channels,
)

CHECKPOINT_EVERY_S = 60.0
LOOK_EVERY = 1.15
"""A held-out view is looked at whenever the number of steps has grown by this factor."""
PROBE = 40
"""Steps after which a budget in minutes is turned into a number of steps."""


def train(options: TrainOptions) -> None:
    """Train as `options` say and leave a complete run folder."""
    device = choose_device(options.device)
    chosen = recipe(options.preset)
    capture = load_capture(options.source, options.mesh)
    mesh, notes = load_capture_mesh(capture)
    notes = capture.notes + notes
    _claim(options)
    photos = prepare_photos(capture, options.out / "cache" / "photos", options.size)
    views = _lay_out(photos.of("train"), mesh, options.out / "cache")
    state = _start(options, chosen, mesh, views, device)
    identity = _identity(options, photos, mesh)
    checkpoint = options.out / "checkpoints" / "last.safetensors"
    if options.resume:
        load_checkpoint(checkpoint, state, identity)
    _optimise(
        state,
        views,
        photos.of("test"),
        options,
        lambda: save_checkpoint(checkpoint, state, identity),
    )
    save_checkpoint(checkpoint, state, identity)
    _finish(state, views, photos, options, notes)


def _claim(options: TrainOptions) -> None:
    """Make the run folder ours: new, empty, to be resumed, or to be replaced."""
    out = options.out
    if options.resume:
        if not (out / "checkpoints" / "last.safetensors").is_file():
            raise InputError(f"{out} has no checkpoint to resume from; start without --resume")
        return
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        if not out.is_dir() or not options.yes or not _is_run(out):
            raise InputError(
                f"{out} is not empty; choose another --out, continue with --resume, or replace an "
                "earlier run with --yes"
            )
        shutil.rmtree(out)
    with written_whole(out / "train.json") as beside:
        beside.write_text(json.dumps({"command": _command()}) + "\n")


def _is_run(folder: Path) -> bool:
    return (folder / "train.json").is_file() or (folder / "asset.json").is_file()


def _command() -> str:
    return " ".join(["python", Path(sys.argv[0]).name, *sys.argv[1:]])


def _lay_out(photos: Photos, mesh: Mesh, folder: Path) -> Views:
    """Rasterised training views, or a sentence if they show nothing of the mesh."""
    with progress(len(photos), "laying out views") as shown:
        views = lay_out_views(photos, mesh, folder, shown.update)
    if len(views.tiles) == 0:
        raise InputError(
            "no training photo shows the mesh inside its mask; check that masks are white on the "
            "object, and that mesh and cameras share one frame"
        )
    return views


def _start(
    options: TrainOptions, chosen: Recipe, mesh: Mesh, views: Views, device: torch.device
) -> TrainingState:
    """The asset as it is before the first step."""
    torch.manual_seed(options.seed)
    generator = torch.Generator().manual_seed(options.seed)
    config = replace(chosen.asset, texture=fitting_texture(chosen.asset.texture, views))
    asset = Asset(config, mesh, find_backdrop(views))
    if chosen.texture_start == "noise":
        start_from_noise(asset, 1.0, generator)
    else:
        start_neural_channels(asset, generator)
        project_photos(asset, views)
    total = options.steps if options.steps is not None else chosen.steps
    if options.minutes is not None and options.steps is None:
        total = None
    return new_state(asset.moved(device), chosen, len(views), options.exposure, total)


def _identity(options: TrainOptions, photos: Photos, mesh: Mesh) -> dict[str, Any]:
    """What a checkpoint and the run that continues it must share."""
    digest = sha256(mesh.vertices.cpu().numpy().tobytes() + mesh.faces.cpu().numpy().tobytes())
    for camera in photos.cameras:
        digest.update(camera.world_to_camera.cpu().numpy().tobytes())
    for path in photos.paths:
        digest.update(path.read_bytes())
    fixed = ("preset", "steps", "minutes", "size", "seed", "exposure")
    return {"data": digest.hexdigest()} | {name: getattr(options, name) for name in fixed}


def _optimise(
    state: TrainingState, views: Views, held_out: Photos, options: TrainOptions, save: Any
) -> None:
    """Step until the budget is used up, showing progress, looking at held-out views, saving."""
    limit_s = None if options.minutes is None else options.minutes * 60
    began, last_save = time.monotonic() - state.seconds, time.monotonic()
    look_at = state.step
    with progress(state.total, "training", start=state.step, limit_s=limit_s) as shown:
        loss = 0.0
        while state.total is None or state.step < state.total:
            if state.step >= look_at or not state.history:
                _look(state, held_out, options.out, loss)
                look_at = max(int(state.step * LOOK_EVERY), state.step + 100)
            loss = step(state, views, options.seed)
            state.seconds = time.monotonic() - began
            if state.total is None and limit_s is not None and state.step >= PROBE:
                state.total = max(int(state.step * limit_s / state.seconds), state.step)
            shown.update(state.step, psnr=state.history[-1].get("psnr"), loss=loss)
            if time.monotonic() - last_save > CHECKPOINT_EVERY_S:
                save()
                last_save = time.monotonic()
        _look(state, held_out, options.out, loss)


def _look(state: TrainingState, held_out: Photos, out: Path, loss: float) -> None:
    """Render one held-out view: a preview on disk, and a row of the history."""
    row = {"step": state.step, "seconds": state.seconds}
    if state.step:
        row["loss"] = loss
    if len(held_out):
        index = len(held_out) // 2
        render = state.asset.render(held_out.cameras[index]).cpu()
        photo = tensor_from_images(np.array(held_out[index].rgb)[None])
        row["psnr"] = min(float(psnr(render, photo)), 99.0)
        pair = images_from_tensor(torch.cat([photo, render]))
        write_png(out / "preview.png", np.concatenate(list(pair), axis=1))
    state.history.append(row)


def _finish(
    state: TrainingState, views: Views, photos: Photos, options: TrainOptions, notes: list[str]
) -> None:
    """Score, report, save the asset, and clear what is no longer needed."""
    asset, out = state.asset, options.out
    held_out = photos.of("test")
    scored: list[Scored] = []
    with progress(len(held_out), "scoring held-out views") as shown:
        for item in score(asset, held_out):
            scored.append(item)
            shown.update(len(scored))
    numbers = summary(scored)
    per_second = state.step / state.seconds if state.seconds else 0.0
    training = {
        "steps": state.step,
        "seconds": round(state.seconds, 2),
        "device": str(asset.device),
        "steps_per_second": round(per_second, 2),
    }
    metrics = {"test": numbers, "train": training, "definition": definition(numbers | training)}
    write_json(out / "metrics.json", metrics)
    notes = [*notes, lpips_or_none()[1]] if "lpips" not in numbers else notes
    config = _plain(asdict(options)) | {"recipe": _plain(asdict(state.recipe))}
    write_report(
        out,
        Report(
            title=f"{options.source.name}: {options.preset}",
            command=_command(),
            versions={
                "dnr": __version__,
                "torch": torch.__version__,
                "python": platform.python_version(),
            },
            config=config,
            metrics=metrics,
            history=state.history,
            views=[View(item.name, item.truth, item.render) for item in scored],
            texture_images=_texture_images(asset),
            uv_coverage=coverage(views, min(asset.config.texture.size, 512)),
            notes=notes,
        ),
    )
    about = {"training": config | {"source": str(options.source.resolve()), "metrics": metrics}}
    about["cameras"] = _cameras(photos)
    about["provenance"] = {"program": f"dnr {__version__}", "command": _command()}
    asset.save(out, about)
    shutil.rmtree(out / "cache", ignore_errors=True)
    figures = "  ".join(f"{name} {value:.2f}" for name, value in numbers.items())
    print(f"held-out views: {figures}\nasset:  {out}\nreport: {out / 'report' / 'index.html'}")


def _texture_images(asset: Asset) -> list[tuple[str, np.ndarray]]:
    """The first channels of the texture as pictures."""
    config = asset.config.texture
    size = (min(config.colour_size, 1024),) * 2
    levels = [level.detach().cpu() for level in asset.texture.colour_levels()]
    colour = _summed(levels, size)
    indices = range(config.levels)
    neural = _summed(
        [asset.texture.features.level(i)[..., 3:6].detach().cpu() for i in indices], size
    )
    neural = neural / neural.std().clamp(min=1e-6) / 4 + 0.5
    pictures = images_from_tensor(torch.cat([colour, neural]).clamp(0, 1))
    return [("colour", pictures[0]), ("first neural channels (the bent normal)", pictures[1])]


def _summed(levels: list[torch.Tensor], size: tuple[int, int]) -> torch.Tensor:  # [1, 3, H, W]
    """A pyramid as one image."""
    images = [level.permute(2, 0, 1)[None] for level in levels]
    grown = [functional.interpolate(image, size, mode="bilinear") for image in images]
    return torch.stack(grown).sum(dim=0)


def _cameras(photos: Photos) -> list[dict[str, Any]]:
    """Where the photos were taken from, so that the run can be rendered without its capture."""
    rows = []
    for camera, name, split in zip(photos.cameras, photos.names, photos.splits, strict=True):
        row = {"name": name, "split": split, "size": list(camera.size)}
        row["world_to_camera"] = camera.world_to_camera[0].tolist()
        rows.append(row | {"intrinsics": camera.intrinsics[0].tolist()})
    return rows


def _plain(value: Any) -> Any:
    """The same with paths as text, for JSON."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return str(value) if isinstance(value, Path) else value
