"""Removed and moved things, and labels, against re-renders (`benchmarks.editing_objects`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
import tyro

from benchmarks.editing import Bench, open_bench
from benchmarks.editing_edits import BLOB, LINE, disc_mask, line_mask
from benchmarks.editing_truth import on_view
from benchmarks.results import ROOT, Results
from dnr.asset import Asset
from dnr.clips import run_cameras
from dnr.commands import run_command
from dnr.editing.session import Session
from dnr.images import contact_sheet, write_png
from dnr.raster.rasterize import rasterize
from dnr.raster.surface import interpolate
from dnr.synthetic.captures import write_capture
from dnr.synthetic.config import SceneConfig
from dnr.synthetic.render import render_view
from dnr.synthetic.scene import Scene
from dnr.synthetic.scenes import SKETCHES, build_scene
from dnr.synthetic.shadows import bake_visibility
from dnr.training.options import TrainOptions
from dnr.training.run import train

SCENE = "still-life"
VIEWS = 6
GONE = {"centre": (0.0, 0.0, -60.0), "half_size": (0.01, 0.01, 0.01)}
TURN, SHIFT = 50.0, (0.05, -0.75, 0.0)
ON_TOP = {"pebble": (0.78, 0.22, 0.28), "ball": (0.28, -0.42, 0.92)}
"""A place on the surface of each thing that is edited."""


@dataclass(frozen=True)
class BenchObjects:
    """Remove and move things of the still life, and paint labels on the sphere.

    Rows that the JSON file holds already are not measured again; remove it to start anew.
    """

    out: Path = ROOT / "benchmarks" / "results"
    """Folder for editing.json, pictures, captures and runs."""
    minutes: float = 1.2
    """Of training, where there is no run yet."""


class Task(NamedTuple):
    """One operation, and what it does to a solid of the scene."""

    name: str
    thing: str
    operation: dict[str, Any]
    solid: dict[str, Any]


def tasks(scene: Scene) -> list[Task]:
    """A small thing removed and moved, and a large one, which hides much, removed."""
    pebble = next(solid for solid in scene.solids if solid.name == "pebble")
    place = tuple(float(a + b) for a, b in zip(pebble.centre, SHIFT, strict=True))
    moved = {"centre": place, "turn_deg": pebble.turn_deg + TURN}
    move = {"op": "move", "by": list(SHIFT), "turn_deg": TURN}
    return [
        Task("remove the pebble", "pebble", {"op": "remove"}, GONE),
        Task("move the pebble", "pebble", move, moved),
        Task("remove the ball", "ball", {"op": "remove"}, GONE),
    ]


def objects(options: BenchObjects) -> Iterator[tuple[dict[str, Any], list[np.ndarray]]]:
    """Figures of every task, and pictures: before, after, truth."""
    capture, run = (options.out / kind / f"editing-{SCENE}" for kind in ("captures", "runs"))
    config = SceneConfig(scene=SCENE)
    if not (run / "asset.json").is_file():
        write_capture(capture, config)
        train(TrainOptions(capture, run, preset="pixel", minutes=options.minutes, yes=True))
    scene, asset, cameras = build_scene(config), Asset.load(run), run_cameras(run)
    seen = list(run_cameras(run, ("test",)).values())
    seen = seen[:: max(len(seen) // VIEWS, 1)][:VIEWS]
    before = [asset.render(camera)[0].permute(1, 2, 0).numpy() for camera in seen]
    floor = [_psnr(a, render_view(scene, c).image) for a, c in zip(before, seen, strict=True)]
    session = Session(asset, cameras, options.out)
    atlas = session.canvas.atlas
    for task in tasks(scene):
        away = np.linalg.norm(atlas.position - np.array(ON_TOP[task.thing]), axis=1)
        part = int(session.canvas.part[away.argmin()])
        session.apply(task.operation | {"select": {"by": "part", "number": part}})
        truth = _with_solid(scene, task.thing, task.solid)
        after = [session.asset.render(camera)[0].permute(1, 2, 0).numpy() for camera in seen]
        real = [render_view(truth, camera).image for camera in seen]
        psnr = [_psnr(a, b) for a, b in zip(after, real, strict=True)]
        session.undo()
        row = {"task": task.name, "psnr": round(float(np.mean(psnr)), 1)}
        row |= {"least": round(min(psnr), 1), "unedited": round(float(np.mean(floor)), 1)}
        yield row, [_eight_bits(x) for x in (before[0], after[0], real[0])]


def labels(bench: Bench) -> Iterator[dict[str, Any]]:
    """How well labels painted in one view meet the true ones in unseen views."""
    session = Session(bench.asset, bench.cameras, Path())
    for name, shape, mask in (("disc", BLOB, disc_mask(BLOB)), ("stroke", LINE, line_mask(LINE))):
        select = {"by": "shape", "view": bench.view} | shape
        session.apply({"op": "label", "name": name, "select": select})
        canvas = session.canvas
        own = canvas.atlas.image((canvas.label == canvas.labels[name]).astype(np.float32))
        yield {"label": name} | _overlap(bench, own, mask(bench.ground))


def _overlap(bench: Bench, label: np.ndarray, share: np.ndarray) -> dict[str, float]:
    both = either = 0
    away = []
    for camera, view in zip(bench.unseen, bench.truth, strict=True):
        real = on_view(bench.scene, bench.texels, share, view) > 0.5
        mesh = bench.asset.mesh
        fragments = rasterize(mesh.vertices, mesh.faces, camera)
        uv = interpolate(fragments, mesh, camera).uv[0].numpy()
        column, row = uv[..., 0] * len(label) - 0.5, (1 - uv[..., 1]) * len(label) - 0.5
        mine = cv2.remap(label, column, row, cv2.INTER_LINEAR) > 0.5
        mine &= fragments.face_id[0].numpy() >= 0
        both, either = both + (real & mine).sum(), either + (real | mine).sum()
        if real.any() and mine.any():
            distance = cv2.distanceTransform((~_outline(real)).astype(np.uint8), cv2.DIST_L2, 5)
            away.append(distance[_outline(mine)])
    q95 = float(np.quantile(np.concatenate(away), 0.95))
    return {"iou": round(float(both / either), 3), "outline_q95_px": round(q95, 2)}


def _outline(mask: np.ndarray) -> np.ndarray:
    return mask & ~cv2.erode(mask.astype(np.uint8), np.ones((3, 3))).astype(bool)


def _with_solid(scene: Scene, name: str, change: dict[str, Any]) -> Scene:
    """The scene with one solid elsewhere, its shadows too."""
    solids = tuple(
        replace(solid, **change) if solid.name == name else solid for solid in scene.solids
    )
    reach = SKETCHES[SCENE]().ambient_reach
    shares = bake_visibility(solids, scene.lights, reach, scene.rectangles, len(scene.albedo))
    return replace(scene, solids=solids, visibility=shares)


def _psnr(first: np.ndarray, second: np.ndarray) -> float:
    return float(-10 * np.log10(np.square(first - second).mean()))


def _eight_bits(image: np.ndarray) -> np.ndarray:
    return np.round(np.clip(image, 0, 1) * 255).astype(np.uint8)


def table(sections: dict[str, list[dict[str, Any]]]) -> str:
    """Both tables as the README shows them."""
    lines = ["| still life | PSNR mean / least of 6 views | unedited |", "|---|---|---|"]
    for row in sections.get("objects", []):
        lines.append(f"| {row['task']} | {row['psnr']} / {row['least']} | {row['unedited']} |")
    lines += ["", "| label | overlap (IoU) | outline, 95 % within |", "|---|---|---|"]
    for row in sections.get("labels", []):
        lines.append(f"| {row['label']} | {row['iou']} | {row['outline_q95_px']} px |")
    return "\n".join(lines)


def bench_objects(options: BenchObjects) -> str:
    """The tables, after everything that is missing has been measured."""
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    results = Results.open(options.out / "editing.json")
    if not results.has("objects"):
        rows = []
        for row, pictures in objects(options):
            results.add("objects", row)
            rows.append(pictures)
        names = [["before", "edited", "truth"]] * len(rows)
        write_png(options.out / "editing-objects.png", contact_sheet(rows, names))
    if not results.has("labels"):
        for row in labels(open_bench("fixed", options.out, options.minutes)):
            results.add("labels", row)
    return table(results.sections)


if __name__ == "__main__":
    chosen = tyro.cli(BenchObjects, config=(tyro.conf.FlagCreatePairsOff,))
    run_command(lambda: print(bench_objects(chosen)))
