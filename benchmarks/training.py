"""Training within a budget of processor time, by the steps that train.py takes."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import NamedTuple

import torch

from benchmarks.scenes import OpenScene
from benchmarks.timing import threads
from dnr.asset import Asset
from dnr.progress import progress
from dnr.training.evaluation import score, summary
from dnr.training.presets import Recipe
from dnr.training.refine import refine_mesh
from dnr.training.state import TrainingState, new_state
from dnr.training.steps import step
from dnr.training.views import Views, lay_out_views
from dnr.training.warm_start import (
    find_backdrop,
    fitting_texture,
    project_photos,
    start_from_noise,
    start_neural_channels,
    with_fine_features,
)

PROBE_S = 2.0
WARM_UP_STEPS = 3
LEAST_PROBED = 3


class Variant(NamedTuple):
    """What is trained: a recipe, and two switches that only the ablations turn off."""

    recipe: Recipe
    fit_colour: bool = True
    """Colour levels beyond the features', where the photos are sharp enough."""
    weigh_levels: bool = True
    """Levels fade with the pixel's footprint."""


def start(
    variant: Variant, scene: OpenScene, total: int | None, seed: int = 0
) -> tuple[TrainingState, Views]:
    """The state before the first step, as train.py makes it from prepared photos."""
    recipe, mesh = variant.recipe, scene.mesh
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    if recipe.refine_geometry:
        mesh, _ = refine_mesh(mesh, scene.photos, seed)
    views = lay_out_views(scene.photos, mesh, scene.folder / "views")
    texture = recipe.asset.texture
    if variant.fit_colour:
        texture = fitting_texture(texture, views)
    if recipe.fine_features:
        texture = with_fine_features(texture)
    asset = Asset(replace(recipe.asset, texture=texture), mesh, find_backdrop(views))
    if not variant.weigh_levels:
        for pyramid in asset.texture.pyramids:
            pyramid.always = max(pyramid.sizes, default=0) + 1
    if recipe.texture_start == "noise":
        start_from_noise(asset, 1.0, generator)
    else:
        start_neural_channels(asset, generator)
        project_photos(asset, views)
    return new_state(asset, recipe, len(views), False, total), views


def step_seconds(variant: Variant, scene: OpenScene, budget: float) -> float:
    """Processor seconds of one step, from a probe far below the `budget`, which is thrown away."""
    probed = variant._replace(recipe=replace(variant.recipe, refine_geometry=False))
    state, views = start(probed, scene, total=None)
    for _ in range(WARM_UP_STEPS):
        step(state, views, seed=0)
    began, first = time.process_time(), state.step
    while state.step - first < LEAST_PROBED or time.process_time() - began < min(
        PROBE_S, budget / 10
    ):
        step(state, views, seed=0)
    return (time.process_time() - began) / (state.step - first)


class Trained(NamedTuple):
    """How a run went, and the means over the held-out views."""

    steps: int
    cpu_seconds: float  # all threads; from prepared photos to the trained asset
    figures: dict[str, float]


def train_for(
    variant: Variant, scene: OpenScene, seconds: float, each_step: float, label: str
) -> Trained:
    """Train so that everything after reading the photos takes `seconds` of one core's time.

    `each_step` is what `step_seconds` returned. The schedule is scaled to the number of steps that
    fit after the start (laying out, refinement, warm start).
    """
    with threads(1):
        began = time.process_time()
        state, views = start(variant, scene, total=0)
        left = seconds - (time.process_time() - began)
        total = state.total = max(round(left / each_step), 0)
        with progress(total, label) as shown:
            while state.step < total:
                loss = step(state, views, seed=0)
                shown.update(state.step, loss=loss)
        used = time.process_time() - began
        return Trained(total, used, scored(state.asset, scene, label))


def scored(asset: Asset, scene: OpenScene, label: str) -> dict[str, float]:
    """Mean figures over the held-out views, as metrics.json has them."""
    rows = []
    with progress(len(scene.held_out), f"{label}: scoring") as shown:
        for row in score(asset, scene.held_out):
            rows.append(row)
            shown.update(len(rows))
    return summary(rows)
