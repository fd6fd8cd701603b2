"""Capturing, measured: `python -m benchmarks.capture`, or `--photos FOLDER` for photos of your own.

Bench scenes go through the whole chain, their own photos in and nothing else; cameras, surface and
pictures are compared with the truth. Photos of your own go through train.py's chain.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from benchmarks.capture_photos import measure_photos
from benchmarks.capture_scene import measure_scene
from benchmarks.results import ROOT
from benchmarks.tables import table
from dnr.cli import run_command
from dnr.errors import InputError
from dnr.synthetic.config import SceneConfig, SceneName
from dnr.synthetic.scenes import SKETCHES


@dataclass(frozen=True)
class CaptureBench:
    """Measure cameras, surface and pictures that are made from photos alone."""

    scenes: tuple[SceneName, ...] = ("still-life", "sphere", "room")
    """Bench scenes; left out when --photos is given."""
    photos: Path | None = None
    """A folder of photos to measure instead, which needs no truth."""
    cameras: Path | None = None
    """A folder whose transforms.json holds cameras of these photos, found by another program."""
    size: int = 512
    """Height of photos: of those that are generated, or to train at."""
    seconds: float = 60
    """Processor time of each training on a bench scene; 0 for cameras and surface alone."""
    steps: int = 5000
    """Of training on --photos."""
    train_views: int = 60
    """Photos of a bench scene; every eighth of all is held out."""
    test_views: int = 20
    """More photos, on a path of their own."""
    out: Path = ROOT / "benchmarks" / "results" / "capture"
    """Folder for photos, captures and runs; finished captures are used again."""


def bench(options: CaptureBench) -> str:
    """The tables."""
    options.out.mkdir(parents=True, exist_ok=True)
    if options.photos is not None:
        if options.photos.is_file():
            raise InputError(f"{options.photos} is no folder. Name a folder of photos.")
        row = measure_photos(
            options.photos, options.size, options.steps, options.cameras, options.out
        )
        return upright([row])
    rows = []
    for name in options.scenes:
        if name not in SKETCHES:
            raise InputError(f"there is no scene {name}; choose from {', '.join(SKETCHES)}")
        side = (options.size, options.size)
        config = SceneConfig(name, side, options.train_views, options.test_views)
        rows.append(measure_scene(config, options.seconds, options.out))
    return upright(rows)


def upright(rows: list[dict[str, Any]]) -> str:
    """One column for each row, one line for each figure."""
    keys = list(rows[0])
    head = [keys[0], *(row[keys[0]] for row in rows)]
    return table(head, [[key, *(row[key] for row in rows)] for key in keys[1:]])


if __name__ == "__main__":
    chosen = tyro.cli(CaptureBench, config=(tyro.conf.FlagCreatePairsOff,))
    run_command(lambda: print(bench(chosen)))
