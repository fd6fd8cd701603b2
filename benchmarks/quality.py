"""Quality after budgets of processor time, for every way to make an asset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.plain import plain_texture_figures
from benchmarks.results import Results
from benchmarks.scenes import WRONG, OpenScene, open_scene, scene_config
from benchmarks.timing import threads
from benchmarks.training import Variant, scored, start, step_seconds, train_for
from dnr.synthetic.config import SceneConfig
from dnr.training.presets import PresetName, recipe

MEAN_TEXTURE = "averaged texture"
"""Photos averaged onto the mesh, rendered as our assets are: the baseline B, and step 0."""
PLAIN_TEXTURE = "averaged texture, plain"
ON_WRONG_PROXIES: tuple[PresetName, ...] = ("pixel", "best")


def measure_quality(
    results: Results,
    like: SceneConfig,
    scenes: Sequence[str],
    presets: Sequence[PresetName],
    budgets: Sequence[float],
    out: Path,
) -> None:
    """Add the rows that are missing. One core, one run after the other."""
    for name in scenes:
        wanted: list[PresetName] = [
            p for p in presets if p in ON_WRONG_PROXIES or not name.endswith(WRONG)
        ]
        runs: list[tuple[PresetName, float]] = [
            (preset, budget) for preset in wanted for budget in budgets
        ]
        runs = [run for run in runs if not _known(results, name, *run)]
        if not runs and all(_known(results, name, m, 0) for m in (MEAN_TEXTURE, PLAIN_TEXTURE)):
            continue
        with open_scene(scene_config(name, like), out) as scene, threads(1):
            _measure_averages(results, name, scene)
            each_step: dict[str, float] = {}
            for preset, budget in runs:
                variant = Variant(recipe(preset))
                if preset not in each_step:
                    each_step[preset] = step_seconds(variant, scene, budget)
                label = f"{name} {preset} {budget:g} s"
                trained = train_for(variant, scene, budget, each_step[preset], label)
                row = {"scene": name, "method": preset, "budget": budget, "steps": trained.steps}
                row |= {"cpu_seconds": round(trained.cpu_seconds, 2)} | trained.figures
                results.add("quality", row)


def _measure_averages(results: Results, name: str, scene: OpenScene) -> None:
    untrained = replace(recipe("pixel"), refine_geometry=False)
    asset = start(Variant(untrained), scene, total=0)[0].asset
    if not _known(results, name, PLAIN_TEXTURE, 0):
        row = {"scene": name, "method": PLAIN_TEXTURE, "budget": 0}
        results.add("quality", row | plain_texture_figures(scene, asset.backdrop))
    if not _known(results, name, MEAN_TEXTURE, 0):
        row = {"scene": name, "method": MEAN_TEXTURE, "budget": 0}
        results.add("quality", row | scored(asset, scene, f"{name} {MEAN_TEXTURE}"))


def _known(results: Results, scene: str, method: str, budget: float) -> bool:
    return results.has("quality", scene=scene, method=method, budget=budget)
