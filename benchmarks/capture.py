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
from benchmarks.results import ROOT, Results
from benchmarks.tables import provenance, table
from dnr.commands import run_command
from dnr.synthetic.config import SceneConfig, SceneName

SCENES, PHOTOS = "scenes", "photos"
STAMP = ("commit", "date", "machine")


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
    """Folder for photos, captures, runs and capture.json, whose rows are not measured again."""


def bench(options: CaptureBench) -> str:
    """The table, after everything that is missing has been measured."""
    options.out.mkdir(parents=True, exist_ok=True)
    results = Results.open(options.out / "capture.json")
    asked: dict[str, Any] = {"size": options.size}
    if options.photos is not None:
        asked |= {"photos": str(options.photos.resolve()), "steps": options.steps}
        if not results.has(PHOTOS, **asked):
            row = measure_photos(
                options.photos, options.size, options.steps, options.cameras, options.out
            )
            results.add(PHOTOS, row | asked)
        return _table(results, PHOTOS, asked)
    asked |= {"seconds": options.seconds, "views": [options.train_views, options.test_views]}
    for name in options.scenes:
        side = (options.size, options.size)
        config = SceneConfig(name, side, options.train_views, options.test_views)
        if not results.has(SCENES, scene=name, **asked):
            results.add(SCENES, measure_scene(config, options.seconds, options.out) | asked)
    return _table(results, SCENES, asked)


def _table(results: Results, section: str, asked: dict[str, Any]) -> str:
    rows = [row for row in results.sections[section] if asked.items() <= row.items()]
    return upright(rows) + "\n\n" + provenance({section: rows})


def upright(rows: list[dict[str, Any]]) -> str:
    """One column for each row, one line for each figure."""
    keys = [key for key in rows[0] if key not in STAMP]
    head = [keys[0], *(row[keys[0]] for row in rows)]
    return table(head, [[key, *(row[key] for row in rows)] for key in keys[1:]])


if __name__ == "__main__":
    chosen = tyro.cli(CaptureBench, config=(tyro.conf.FlagCreatePairsOff,))
    run_command(lambda: print(bench(chosen)))
