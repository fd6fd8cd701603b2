"""Training from the command line: capture folder in, run folder out. Reads top to bottom."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dnr.asset import Asset
from dnr.capture.build import captured, mesh_is_made
from dnr.capture.folder import load_capture, load_capture_mesh
from dnr.capture.photos import Photos, prepare_photos
from dnr.device import choose_device
from dnr.errors import InputError
from dnr.geometry.meshes import Mesh
from dnr.images import images_from_tensor, write_png
from dnr.progress import progress
from dnr.renderers.image import ImageConfig
from dnr.training.checkpoints import load_checkpoint, save_checkpoint
from dnr.training.evaluation import photo_over_backdrop
from dnr.training.exposure import exposures_of, photo_gains
from dnr.training.metrics import psnr
from dnr.training.options import TrainOptions
from dnr.training.presets import Recipe, for_made_mesh, recipe
from dnr.training.refine import ROUNDS, refine_mesh
from dnr.training.refine_cameras import ROUNDS as CAMERA_ROUNDS
from dnr.training.refine_cameras import refine_cameras
from dnr.training.results import write_results
from dnr.training.state import TrainingState, new_state
from dnr.training.steps import step
from dnr.training.stopping import asked_to_stop
from dnr.training.views import Views, lay_out_views
from dnr.training.warm_start import (
    find_backdrop,
    fitting_texture,
    has_masks,
    project_photos,
    start_from_noise,
    start_neural_channels,
    with_fine_features,
)
from dnr.training.workspace import CHECKPOINT, check_out, claim, workspace

CHECKPOINT_EVERY_S = 60.0
LOOK_EVERY = 1.15
"""A held-out view is looked at whenever the number of steps has grown by this factor."""
WARM_UP = 3
"""Steps that say nothing about speed, because they compile what they use."""
PROBE, PROBE_SHARE = 40, 0.05
"""Steps, and share of a budget in minutes, after which that budget becomes a number of steps."""


def train(options: TrainOptions) -> None:
    """Train as `options` say and leave a complete run folder."""
    device = choose_device(options.device)
    chosen = replace(recipe(options.preset), losses=options.losses)
    if options.losses.any and not isinstance(chosen.asset.renderer, ImageConfig):
        raise InputError(
            f"--losses needs a renderer that looks at images, and {options.preset} shades every "
            "pixel on its own; choose --preset unet or paper"
        )
    check_out(options)
    source, made = captured(options.source, options.out, options.mesh, options.yes, options.object)
    options = replace(options, source=source)
    capture = load_capture(source, options.mesh)
    if options.mesh is None and mesh_is_made(source):
        chosen = for_made_mesh(chosen)
    mesh, notes = load_capture_mesh(capture)
    notes = made + capture.notes + notes
    with workspace(options) as cache:
        photos = prepare_photos(capture, cache / "photos", options.size)
        identity = _identity(options, chosen, photos, mesh)
        if options.refine_cameras:
            with progress(CAMERA_ROUNDS, "moving cameras to where photos agree") as shown:
                photos, note = refine_cameras(mesh, photos, options.seed, shown.update)
            notes.append(note)
        if chosen.refine_geometry:
            mesh, note = _refine(mesh, photos.of("train"), options.seed)
            notes.append(note)
        views = _lay_out(photos.of("train"), mesh, cache)
        state = _start(options, chosen, mesh, views, device)
        checkpoint = options.out / CHECKPOINT

        def save() -> None:
            save_checkpoint(checkpoint, state, identity)

        if options.resume:
            load_checkpoint(checkpoint, state, identity)
        else:
            claim(options.out)
            save()  # a full disk shows now instead of in an hour
        with asked_to_stop() as stop:
            _optimise(state, views, photos, options, stop, save)
            save()
        state.let_go()
        write_results(state, views, photos, options, notes)


def _refine(mesh: Mesh, photos: Photos, seed: int) -> tuple[Mesh, str]:
    with progress(ROUNDS, "moving the mesh to where photos agree") as shown:
        return refine_mesh(mesh, photos, seed, shown.update)


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
    background = options.background
    if background == "random":
        _check_random(chosen, views)
        chosen, background = replace(chosen, random_background=True), "solid"
    texture = fitting_texture(chosen.asset.texture, views)
    texture = with_fine_features(texture) if chosen.fine_features else texture
    config = replace(chosen.asset, texture=texture)
    gains = photo_gains(views) if options.exposure else None
    asset = Asset(config, mesh, find_backdrop(views, background, gains))
    if chosen.texture_start == "noise":
        start_from_noise(asset, 1.0, generator)
    else:
        start_neural_channels(asset, generator)
        project_photos(asset, views, gains)
    total = options.steps if options.steps is not None else chosen.steps
    if options.minutes is not None and (options.steps is None or options.steps > PROBE):
        total = None
    state = new_state(asset.moved(device), chosen, len(views), options.exposure, total)
    if state.exposure is not None and gains is not None:
        state.exposure.start(gains)
    return state


def _check_random(chosen: Recipe, views: Views) -> None:
    renderer = chosen.asset.renderer
    if isinstance(renderer, ImageConfig) and renderer.network == "paper":
        raise InputError("the paper's network is not told the background; use --background solid")
    if not has_masks(views):
        raise InputError(
            "--background random needs photos with masks or alpha; use --background captured"
        )


def _identity(options: TrainOptions, chosen: Recipe, photos: Photos, mesh: Mesh) -> dict[str, Any]:
    """What a checkpoint and the run that continues it must share."""
    digest = sha256()
    for values in vars(mesh).values():
        digest.update(values.cpu().numpy().tobytes())
    for camera, path, split in zip(photos.cameras, photos.paths, photos.splits, strict=True):
        for matrix in (camera.world_to_camera, camera.intrinsics):
            digest.update(matrix.cpu().numpy().tobytes())
        digest.update(path.read_bytes() + split.encode())
    fixed = ("preset", "steps", "minutes", "size", "seed", "background")
    own = {name: getattr(options, name) for name in (*fixed, "exposure", "refine_cameras")}
    return {"data": digest.hexdigest(), "recipe": asdict(chosen)} | own


def _optimise(
    state: TrainingState,
    views: Views,
    photos: Photos,
    options: TrainOptions,
    stop: Callable[[], bool],
    save: Callable[[], None],
) -> None:
    """Step until the budget is used up, showing progress, looking at held-out views, saving."""
    limit_s = None if options.minutes is None else options.minutes * 60
    began, last_save = time.monotonic() - state.seconds, time.monotonic()
    first = look_at = state.step
    since = (state.step, state.seconds)
    with progress(state.total, "training", start=state.step, limit_s=limit_s) as shown:
        loss = 0.0
        while state.total is None or state.step < state.total:
            if stop():
                return
            if state.step >= look_at or not state.history:
                _look(state, photos, options.out, loss)
                look_at = max(int(state.step * LOOK_EVERY), state.step + 100)
            loss = step(state, views, options.seed)
            state.seconds = time.monotonic() - began
            if state.step == first + WARM_UP:
                since = (state.step, state.seconds)
            if state.total is None and limit_s is not None:
                state.total = _affordable(state, since, limit_s, options.steps)
                if state.total is not None:
                    shown.expect(state.total)
            shown.update(state.step, psnr=state.history[-1].get("psnr"), loss=loss)
            if time.monotonic() - last_save > CHECKPOINT_EVERY_S:
                save()
                last_save = time.monotonic()
        _look(state, photos, options.out, loss)


def _affordable(
    state: TrainingState, since: tuple[int, float], limit_s: float, most: int | None
) -> int | None:
    """Steps in all that fit into the limit, at the speed since then; None until that is clear."""
    steps, seconds = state.step - since[0], state.seconds - since[1]
    is_over = state.seconds >= limit_s or (most is not None and state.step >= most)
    if is_over:
        return state.step
    if steps < PROBE or state.seconds < PROBE_SHARE * limit_s:
        return None
    total = state.step + int(steps / seconds * (limit_s - state.seconds))
    return total if most is None else min(total, most)


def _look(state: TrainingState, photos: Photos, out: Path, loss: float) -> None:
    """Render one held-out view: a preview on disk, and a row of the history."""
    held_out = photos.of("test")
    row = {"step": state.step, "seconds": state.seconds}
    if state.step:
        row["loss"] = loss
    if len(held_out):
        index = len(held_out) // 2
        render = state.asset.render(held_out.cameras[index]).cpu()
        if state.exposure is not None:
            gains = state.exposure.gains().detach().cpu()
            exposures = exposures_of(photos.names, photos.splits, gains)
            render = render * exposures[photos.names.index(held_out.names[index])][:, None, None]
        photo, valid = photo_over_backdrop(held_out, index, state.asset)
        row["psnr"] = min(float(psnr(render, photo, valid)), 99.0)
        pair = images_from_tensor(torch.cat([photo, render]))
        write_png(out / "preview.png", np.concatenate(list(pair), axis=1))
    state.history.append(row)
