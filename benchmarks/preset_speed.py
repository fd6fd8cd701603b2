"""Time and memory of every preset: shading a frame, a whole frame, a training step, a training."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from benchmarks.floors import count_flops, forward_bytes, measure_layers, step_bytes
from benchmarks.results import ROOT, Results, Row
from benchmarks.scenes import OpenScene, capture_folder, open_scene
from benchmarks.timing import copy_bandwidth, measure, threads
from benchmarks.training import Variant, start
from dnr.asset import CHUNK, SUPERSAMPLING, Asset, look_up_image
from dnr.clips import render_frames
from dnr.errors import InputError
from dnr.geometry.cameras import Camera, join_cameras
from dnr.raster.rasterize import rasterize
from dnr.raster.samples import shading_samples
from dnr.raster.surface import Surface, interpolate
from dnr.renderers.image import ImageRenderer
from dnr.synthetic.config import SceneConfig
from dnr.training.crops import draw_crop
from dnr.training.pixels import draw_pixels
from dnr.training.presets import PresetName, recipe
from dnr.training.state import TrainingState
from dnr.training.steps import step
from dnr.training.views import Views

CLIP, CLIPS = 20, 5
"""Frames of a clip, and how often it is rendered; by all cores, a frame each."""
MEMORY_STEPS = 20
PHOTOS = 8
"""Enough for the batches of a step."""


def measure_presets(
    results: Results,
    like: SceneConfig,
    presets: Sequence[PresetName],
    sides: Sequence[int],
    repeats: int,
    out: Path,
) -> None:
    """Add the rows that are missing."""
    for side in sides:
        missing: list[PresetName] = [
            p for p in presets if not results.has("presets", preset=p, side=side)
        ]
        if not missing:
            continue
        every = max(like.num_train // PHOTOS, 1)
        with open_scene(like, out, every, height=side) as scene:
            for preset in missing:
                results.add("presets", _measured(preset, side, scene, repeats))


def _measured(preset: PresetName, side: int, scene: OpenScene, repeats: int) -> Row:
    """All numbers of one preset. The mesh is not refined: that changes no speed here."""
    chosen = replace(recipe(preset), refine_geometry=False)
    camera = scene.held_out.cameras[0]
    with threads(1):
        state, views = start(Variant(chosen), scene, total=1000)
        asset, bandwidth = state.asset, copy_bandwidth()
        with torch.no_grad():
            work = shading(asset, camera)
            forward, renderer = measure(work.forward, repeats), measure(work.render, repeats)
            layers = measure_layers(asset.renderer, work.render, repeats)
        shared = asset.shared()
        frame = measure(lambda: asset.render(camera, shared), repeats)
        train = measure(lambda: step(state, views, 0), repeats)
        step_flops = count_flops(lambda: step(state, views, 0))
        forward_moved = forward_bytes(asset, layers, work.uv)
        step_moved = step_bytes(asset, layers, batch_uv(state, views))
        path = join_cameras(scene.held_out.cameras[:CLIP])
        clip = measure(lambda: list(render_frames(asset, path)), CLIPS, time.perf_counter)
    return {
        "preset": preset,
        "side": side,
        "points": len(work.uv),
        "forward_ms_min": forward.least,
        "forward_ms_median": forward.median,
        "renderer_ms_median": renderer.median,
        "forward_gflop": layers.flops / 1e9,
        "gflop_per_second": layers.speed / 1e9,
        "renderer_over_floor": renderer.least / (1000 * layers.seconds),
        "step_ms_min": train.least,
        "step_ms_median": train.median,
        "step_gflop": step_flops / 1e9,
        "frame_ms_median": frame.median,
        "frames_per_second": 1000 * len(path) / clip.median,
        "forward_flop_floor_ms": 1000 * layers.seconds,
        "forward_byte_floor_ms": 1000 * forward_moved / bandwidth,
        "step_flop_floor_ms": 1000 * step_flops / layers.speed,
        "step_byte_floor_ms": 1000 * step_moved / bandwidth,
    }


class Shading(NamedTuple):
    """What follows rasterisation, for one frame."""

    forward: Callable[[], object]  # lookups and renderer
    render: Callable[[], object]  # the renderer alone, on features that were looked up before
    uv: Tensor  # [N, 2] of what is shaded


def shading(asset: Asset, camera: Camera) -> Shading:
    """The work of shading what `camera` sees."""
    renderer, mesh, shared = asset.renderer, asset.mesh, asset.shared()
    texture = shared.texture
    if isinstance(renderer, ImageRenderer):
        fragments = rasterize(mesh.vertices, mesh.faces, camera)
        surface = interpolate(fragments, mesh, camera)
        seen, background = fragments.face_id >= 0, asset.backdrop(camera.rays())
        image = look_up_image(texture, surface, seen)
        return Shading(
            lambda: renderer(look_up_image(texture, surface, seen), surface, seen, background),
            lambda: renderer(image, surface, seen, background),
            surface.uv[seen],
        )
    samples = shading_samples(mesh, camera, SUPERSAMPLING)
    fields = (field.split(CHUNK) for field in samples.surface)
    chunks = [Surface(*points) for points in zip(*fields, strict=True)]
    features = [texture.look_up(points.uv, points.footprint) for points in chunks]
    return Shading(
        lambda: asset.shade(samples, texture),
        lambda: [renderer(*both) for both in zip(features, chunks, strict=True)],
        samples.surface.uv,
    )


def batch_uv(state: TrainingState, views: Views) -> Tensor:  # [N, 2]
    """Where one training step looks."""
    rng = np.random.default_rng(0)
    if isinstance(state.asset.renderer, ImageRenderer):
        crop = draw_crop(views, state.recipe.crop, rng)
        return crop.surface.uv[crop.seen]
    return draw_pixels(views, state.recipe.batch, rng).surface.uv


def measure_memory(
    results: Results, like: SceneConfig, presets: Sequence[PresetName], out: Path
) -> None:
    """Add the peak resident memory of train.py, from its start to the finished report."""
    for preset in presets:
        if results.has("memory", preset=preset, side=like.size[0]):
            continue
        source = capture_folder(like, out)
        with tempfile.TemporaryDirectory(dir=out) as folder:
            command = [sys.executable, "-m", "benchmarks.memory", sys.executable, "train.py"]
            command += [str(source.absolute()), "--out", str(Path(folder).absolute() / "run")]
            command += ["--preset", preset, "--steps", str(MEMORY_STEPS)]
            done = subprocess.run(
                command,
                cwd=ROOT,
                capture_output=True,
                text=True,
                env=os.environ | {"OMP_NUM_THREADS": "1"},
            )
        if done.returncode:
            raise InputError(f"train.py --preset {preset} failed: {done.stderr[-2000:]}")
        row: Row = {"preset": preset, "side": like.size[0], "photos": like.num_train}
        results.add("memory", row | {"peak_gib": int(done.stdout) / 2**30})
