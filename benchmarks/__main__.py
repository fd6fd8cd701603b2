"""Measure speed, memory and quality, and print the tables: `python -m benchmarks`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import torch
import tyro

from benchmarks.preset_speed import measure_memory, measure_presets
from benchmarks.quality import measure_quality
from benchmarks.raster_speed import measure_raster, measure_sampling
from benchmarks.results import ROOT, Results
from benchmarks.tables import all_tables
from dnr.commands import run_command
from dnr.synthetic.config import SceneConfig
from dnr.training.presets import PresetName

Part = Literal["raster", "sampling", "presets", "memory", "quality"]


@dataclass(frozen=True)
class Bench:
    """Measure speed, memory and quality, and print the tables.

    Rows that the JSON file holds already are not measured again; remove it to start anew.
    """

    out: Path = ROOT / "benchmarks" / "results"
    """Folder for bench.json and for the captures that are generated."""
    parts: tuple[Part, ...] = get_args(Part)
    """What to measure."""
    presets: tuple[PresetName, ...] = get_args(PresetName)
    """Which presets; "preview" has speed and memory only, its training being that of "pixel"."""
    scenes: tuple[str, ...] = ("sphere", "still-life", "room", "sphere-wrong", "still-life-wrong")
    """For quality. With -wrong the proxy has a tenth of the faces, displaced by 1 %."""
    seconds: tuple[float, ...] = (30, 60, 300)
    """Budgets of processor time for quality."""
    size: int = 512
    """Height and width of photos and frames."""
    train_views: int = 60
    """Photos to train on."""
    test_views: int = 20
    """Photos to compare with."""
    faces: tuple[int, ...] = (10_000, 100_000, 1_000_000)
    """For the rasteriser."""
    repeats: int = 15
    """Timings of each piece of work."""
    quick: bool = False
    """A few minutes: one scene, 30 s, 256 pixels, 20 photos, and a file of its own."""

    def quickened(self) -> Bench:
        """Itself, smaller where --quick asks for it."""
        if not self.quick:
            return self
        return replace(
            self,
            out=self.out / "quick",
            scenes=self.scenes[:1],
            seconds=(30,),
            size=256,
            train_views=20,
            test_views=6,
            repeats=5,
        )


def bench(options: Bench) -> str:
    """The tables, after everything that is missing has been measured."""
    torch.set_num_threads(1)
    out, side = options.out, options.size
    out.mkdir(parents=True, exist_ok=True)
    results = Results.open(out / "bench.json")
    like = SceneConfig("sphere", (side, side), options.train_views, options.test_views)
    if "raster" in options.parts:
        measure_raster(results, options.faces, side, options.repeats)
    if "sampling" in options.parts:
        measure_sampling(results, side, options.repeats)
    if "presets" in options.parts:
        sides = (side // 2, side)
        measure_presets(results, like, options.presets, sides, options.repeats, out)
    if "memory" in options.parts:
        measure_memory(results, like, options.presets, out)
    if "quality" in options.parts:
        trained: list[PresetName] = [preset for preset in options.presets if preset != "preview"]
        measure_quality(results, like, options.scenes, trained, options.seconds, out)
    return all_tables(results.sections)


if __name__ == "__main__":
    chosen = tyro.cli(Bench, config=(tyro.conf.FlagCreatePairsOff,)).quickened()
    run_command(lambda: print(bench(chosen)))
