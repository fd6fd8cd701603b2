"""Measure edits against re-renders of the edited scene: `python -m benchmarks.editing`."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import cv2
import numpy as np
import torch
import tyro
from PIL import Image
from skimage.color import deltaE_ciede2000, rgb2lab

from benchmarks.editing_edits import PHOTO, Edit, Ground, Truth, paint_edits
from benchmarks.editing_truth import (
    FINER,
    Texels,
    exact_texels,
    on_view,
    pixels_of,
    with_albedo,
)
from benchmarks.results import ROOT, Results
from dnr.asset import SUPERSAMPLING, Asset
from dnr.clips import run_cameras
from dnr.commands import run_command
from dnr.editing.session import Session
from dnr.editing.texels import REACH
from dnr.geometry.cameras import Camera
from dnr.images import contact_sheet, write_png
from dnr.raster.samples import shading_samples
from dnr.synthetic.captures import write_capture
from dnr.synthetic.config import SceneConfig
from dnr.synthetic.render import View, render_view
from dnr.synthetic.scene import Scene
from dnr.synthetic.scenes import build_scene
from dnr.training.options import TrainOptions
from dnr.training.run import train

Light = Literal["fixed", "camera"]
LIGHTINGS = ("keep", "flat")
ONE_LIGHTING = ("recolour", "heal")
UNSEEN = 10
LEAST_PIXELS = 30
PAINT_VIEW = 26


@dataclass(frozen=True)
class BenchEditing:
    """Paint, clone and heal in one view, and look from ten others.

    Rows that the JSON file holds already are not measured again; remove it to start anew.
    """

    out: Path = ROOT / "benchmarks" / "results"
    """Folder for editing.json, pictures, captures and runs."""
    lights: tuple[Light, ...] = ("fixed", "camera")
    """Lamps that stand still, or one fixed to the camera."""
    edits: tuple[str, ...] = ()
    """Names of edits; all by default."""
    minutes: float = 1.2
    """Of training, where there is no run yet."""


class Bench(NamedTuple):
    """One scene, trained, and seen from where no photo was taken."""

    scene: Scene
    texels: Texels
    asset: Asset
    cameras: dict[str, Camera]
    unseen: list[Camera]
    truth: list[View]  # the unedited scene there
    renders: list[np.ndarray]  # the unedited asset there, [H, W, 3]
    view: str  # where paint comes from
    ground: Ground


def open_bench(light: Light, out: Path, minutes: float) -> Bench:
    """The glossy sphere under one light, trained if it is not yet."""
    config = SceneConfig(light=light)
    capture, run = out / "captures" / f"editing-{light}", out / "runs" / f"editing-{light}"
    if not (run / "asset.json").is_file():
        write_capture(capture, config)
        train(TrainOptions(capture, run, preset="pixel", minutes=minutes, yes=True))
    scene = build_scene(config)
    texels, asset, cameras = exact_texels(scene), Asset.load(run), run_cameras(run)
    view = list(run_cameras(run, ("train",)))[PAINT_VIEW]
    unseen = list(run_cameras(run, ("test",)).values())
    unseen = unseen[:: max(len(unseen) // UNSEEN, 1)][:UNSEEN]
    camera = cameras[view]
    fine = camera.resized((camera.size[0] * FINER, camera.size[1] * FINER))
    seen = render_view(scene, fine, supersampling=1)
    pixel, visible = pixels_of(texels, camera, render_view(scene, camera).depth)
    albedo = scene.albedo.reshape(-1, 3)[texels.index]
    colours = [on_view(scene, texels, albedo[:, c], seen) for c in range(3)]
    diffuse = cv2.resize(asset.diffuse.numpy(), scene.albedo.shape[:2]).reshape(-1, 3)
    light_there = diffuse[texels.index] / 255 / np.maximum(albedo, 0.01)
    ground = Ground(albedo, light_there, pixel, visible, np.stack(colours, axis=-1))
    truth = [render_view(scene, camera) for camera in unseen]
    return Bench(
        scene, texels, asset, cameras, unseen, truth, _renders(asset, unseen), view, ground
    )


def measure(
    bench: Bench, edit: Edit, lighting: str, out: Path
) -> tuple[dict[str, Any], list[np.ndarray]]:
    """The figures of one edit, and some pictures: before, after, truth."""
    truth = edit.truth(bench.ground)
    scene = with_albedo(bench.scene, bench.texels, truth.colour, truth.share)
    _write_photo(bench, scene, truth, out)
    session = Session(bench.asset, bench.cameras, out)
    began = time.process_time()
    for operation in edit.operations:
        takes = operation["op"] not in ONE_LIGHTING
        session.apply(operation | ({"lighting": lighting} if takes else {}))
    seconds = time.process_time() - began
    before = {name: value for name, value in bench.asset.state_dict().items()}
    after = _renders(session.asset, bench.unseen)
    changed = (session.canvas.shown != session.canvas.first_shown).any(axis=1)
    rows, pictures = [], []
    for index, camera in enumerate(bench.unseen):
        real = render_view(scene, camera)
        inside = on_view(scene, bench.texels, truth.share, real) > 0.5
        away = ~_reached(bench.asset, session.canvas.atlas.image(changed), camera)
        outside = np.abs(_eight_bits(after[index]) - _eight_bits(bench.renders[index]))[away]
        row = {"outside": float(outside.max(initial=0))}
        if inside.sum() >= LEAST_PIXELS:
            row |= _figures("", after[index], real.image, inside)
            row |= _figures("floor_", bench.renders[index], bench.truth[index].image, inside)
            pictures.append((inside.sum(), bench.renders[index], after[index], real.image))
        rows.append(row)
    while session.operations:
        session.undo()
    restored = all(torch.equal(before[n], v) for n, v in session.asset.state_dict().items())
    pictures.sort(key=lambda item: -item[0])
    shown = [_eight_bits(image).astype(np.uint8) for item in pictures[:2] for image in item[1:]]
    return _joined(rows) | {"undone": restored, "seconds": round(seconds, 2)}, shown


def _figures(name: str, render: np.ndarray, real: np.ndarray, where: np.ndarray) -> dict[str, Any]:
    mine, true = _eight_bits(render)[where] / 255, _eight_bits(real)[where] / 255
    away = deltaE_ciede2000(rgb2lab(mine), rgb2lab(true))
    return {f"{name}de": away, f"{name}square": np.square(mine - true).mean(axis=-1)}


def _joined(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Over all pixels inside, of all views."""
    seen = [row for row in rows if "de" in row]
    figures: dict[str, Any] = {"views": len(seen)}
    for name in ("", "floor_"):
        away = np.concatenate([row[f"{name}de"] for row in seen])
        square = np.concatenate([row[f"{name}square"] for row in seen])
        figures[f"{name}median"] = round(float(np.median(away)), 2)
        figures[f"{name}q90"] = round(float(np.quantile(away, 0.9)), 2)
        figures[f"{name}psnr"] = round(float(-10 * np.log10(square.mean())), 1)
    return figures | {"outside": max(row["outside"] for row in rows)}


def _reached(asset: Asset, changed: np.ndarray, camera: Camera) -> np.ndarray:  # bool [H, W]
    """Pixels that see a changed texel, or one within the reach of the levels, or rims thereof."""
    near = cv2.dilate(changed.astype(np.uint8), np.ones((4 * REACH + 1, 4 * REACH + 1)))
    samples = shading_samples(asset.mesh, camera, SUPERSAMPLING)
    uv, size = samples.surface.uv.numpy(), len(changed)
    row = np.clip(((1 - uv[:, 1]) * size).astype(int), 0, size - 1)
    column = np.clip((uv[:, 0] * size).astype(int), 0, size - 1)
    reached = np.zeros(camera.size[0] * camera.size[1], bool)
    reached[samples.pixel.numpy()[near[row, column] > 0]] = True
    return reached.reshape(camera.size)


def _renders(asset: Asset, cameras: list[Camera]) -> list[np.ndarray]:
    return [asset.render(camera)[0].permute(1, 2, 0).numpy() for camera in cameras]


def _eight_bits(image: np.ndarray) -> np.ndarray:
    return np.round(np.clip(image, 0, 1) * 255)


def _write_photo(bench: Bench, scene: Scene, truth: Truth, out: Path) -> None:
    """The picture that the edit "photo" projects: the truth in the paint view, cut out."""
    real = render_view(scene, bench.cameras[bench.view])
    alpha = on_view(scene, bench.texels, truth.share, real)
    pixels = np.concatenate([real.image, alpha[..., None]], axis=-1)
    Image.fromarray(_eight_bits(pixels).astype(np.uint8)).save(out / PHOTO)


def table(rows: list[dict[str, Any]]) -> str:
    """The figures in Markdown."""
    head = (
        "| light | edit | lighting | ΔE median / 90 % / PSNR | unedited there | outside, of 255 |"
    )
    lines = [head, "|---|---|---|---|---|---|"]
    for row in rows:
        own = f"{row['median']:.2f} / {row['q90']:.2f} / {row['psnr']:.1f}"
        floor = f"{row['floor_median']:.2f} / {row['floor_q90']:.2f} / {row['floor_psnr']:.1f}"
        names = f"| {row['light']} | {row['edit']} | {row['lighting']} "
        lines.append(f"{names}| {own} | {floor} | {row['outside']:.0f} |")
    return "\n".join(lines)


def bench_editing(options: BenchEditing) -> str:
    """The table, after everything that is missing has been measured."""
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    results = Results.open(options.out / "editing.json")
    for light in options.lights:
        bench = open_bench(light, options.out, options.minutes)
        sheet = []
        for edit in paint_edits(bench.view):
            if options.edits and edit.name not in options.edits:
                continue
            if edit.name == "photo" and light == "camera":
                continue  # its flash shines right there: a photo of glare paints glare
            for lighting in LIGHTINGS[: 1 if edit.operations[-1]["op"] in ONE_LIGHTING else 2]:
                keys = {"light": light, "edit": edit.name, "lighting": lighting}
                if results.has("edits", **keys):
                    continue
                figures, pictures = measure(bench, edit, lighting, options.out)
                results.add("edits", keys | figures)
                print(table([keys | figures]).splitlines()[-1], flush=True)
                sheet.append((pictures, [f"{edit.name} {lighting}", "", "truth"] * 2))
        if sheet:
            rows, captions = zip(*sheet, strict=True)
            captions = [names[: len(row)] for row, names in sheet]
            write_png(options.out / f"editing-{light}.png", contact_sheet(list(rows), captions))
    return table(results.sections.get("edits", []))


if __name__ == "__main__":
    chosen = tyro.cli(BenchEditing, config=(tyro.conf.FlagCreatePairsOff,))
    run_command(lambda: print(bench_editing(chosen)))
