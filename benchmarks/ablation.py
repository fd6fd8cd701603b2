"""What each design choice is worth: `python -m benchmarks.ablation`, one table."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
import tyro

from benchmarks.results import ROOT, Results, Row
from benchmarks.scenes import open_scene, scene_config
from benchmarks.tables import provenance, table
from benchmarks.training import Variant, step_seconds, train_for
from dnr.commands import run_command
from dnr.synthetic.config import SceneConfig
from dnr.training.presets import PresetName, Recipe, recipe


class Trial(NamedTuple):
    """One change of the default."""

    choice: str
    setting: str
    variant: Variant
    every: int = 1  # each so-manieth training photo is used
    decimate: float = 1.0  # share of the proxy's faces that is kept


@dataclass(frozen=True)
class Ablation:
    """Train the pixel preset with one design choice changed at a time, and print one table.

    Rows that the JSON file holds already are not measured again; remove it to start anew.
    """

    out: Path = ROOT / "benchmarks" / "results"
    """Folder for ablation.json and for the captures that are generated."""
    scenes: tuple[str, ...] = ("sphere", "still-life")
    """Bench scenes."""
    seconds: float = 30
    """Budget of processor time of each run."""
    size: int = 512
    """Height and width of the photos."""
    train_views: int = 60
    """Photos to train on; other trials use a half and a quarter of them."""
    test_views: int = 20
    """Photos to compare with."""
    choices: tuple[str, ...] = ()
    """Only these rows' choices, such as direction; by default all."""


def trials(train_views: int) -> list[Trial]:
    """The default first, then everything that is compared with it."""
    default = recipe("pixel")

    def changed(choice: str, setting: str, **recipe_fields: Any) -> Trial:
        return Trial(choice, setting, Variant(replace(default, **recipe_fields)))

    def network(choice: str, setting: str, **fields: Any) -> Trial:
        renderer = replace(default.asset.renderer, **fields)  # type: ignore[type-var]
        return changed(choice, setting, asset=replace(default.asset, renderer=renderer))

    def texture(choice: str, setting: str, **fields: Any) -> Trial:
        own = replace(default.asset.texture, **fields)
        return changed(choice, setting, asset=replace(default.asset, texture=own))

    def preset(name: PresetName) -> Trial:
        return Trial("renderer", f"{name} instead of pixel", Variant(recipe(name)))

    plain = Variant(default)
    size = default.asset.texture.size
    return [
        Trial("default", _described(default), plain),
        network("direction", "reflection about the mesh's normal", direction="reflection"),
        network("direction", "view", direction="view"),
        network("direction", "none", direction="none"),
        network(
            "combine",
            "harmonics of the reflection multiply features",
            direction="reflection",
            combine="multiply",
        ),
        network(
            "combine",
            "harmonics of the view multiply features",
            direction="view",
            combine="multiply",
        ),
        network("lamps", "none", lamps=0),
        texture("levels", "one", levels=1),
        Trial("detail", "no colour beyond the features", plain._replace(fit_colour=False)),
        Trial("footprint", "levels do not fade", plain._replace(weigh_levels=False)),
        changed("warm start", "noise", texture_start="noise"),
        preset("unet"),
        preset("paper"),
        texture("texture", f"{size // 2} texels", size=size // 2, colour_size=size // 2),
        texture("texture", f"{size * 2} texels", size=size * 2, colour_size=size * 2),
        Trial("photos", f"{train_views // 2}", plain, every=2),
        Trial("photos", f"{train_views // 4}", plain, every=4),
        Trial("proxy", "0.3 of its faces", plain, decimate=0.3),
        Trial("proxy", "0.1 of its faces", plain, decimate=0.1),
    ]


def _described(default: Recipe) -> str:
    texture = default.asset.texture
    return f"pixel, {texture.size} texels, {texture.levels} levels"


def ablate(options: Ablation) -> str:
    """The table, after everything that is missing has been measured."""
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    results = Results.open(options.out / "ablation.json")
    like = SceneConfig(
        "sphere", (options.size, options.size), options.train_views, options.test_views
    )
    for name in options.scenes:
        for trial in trials(options.train_views):
            row: Row = {"scene": name, "choice": trial.choice, "setting": trial.setting}
            row |= {"budget": options.seconds}
            wanted = not options.choices or trial.choice in ("default", *options.choices)
            if not wanted or results.has("ablation", **row):
                continue
            config = replace(scene_config(name, like), decimate=trial.decimate)
            label = f"{name}: {trial.choice}, {trial.setting}"
            with open_scene(config, options.out, trial.every) as scene:
                each_step = step_seconds(trial.variant, scene, options.seconds)
                trained = train_for(trial.variant, scene, options.seconds, each_step, label)
            row |= {"steps": trained.steps, "cpu_seconds": round(trained.cpu_seconds, 2)}
            results.add("ablation", row | trained.figures)
    rows = [r for r in results.sections.get("ablation", []) if r["budget"] == options.seconds]
    return f"{ablation_table(rows)}\n\n{provenance({'ablation': rows})}"


def ablation_table(rows: list[Row]) -> str:
    """Choices down, scenes across: PSNR, its difference from the default, SSIM."""
    scenes = list(dict.fromkeys(row["scene"] for row in rows))
    cells = {(r["choice"], r["setting"], r["scene"]): r for r in rows}
    base = {row["scene"]: row["psnr"] for row in rows if row["choice"] == "default"}
    lines = []
    for choice, setting in dict.fromkeys((r["choice"], r["setting"]) for r in rows):
        line = [choice, setting]
        for scene in scenes:
            row = cells.get((choice, setting, scene))
            shown = ["", "", ""]
            if row is not None:
                delta = row["psnr"] - base.get(scene, float("nan"))
                shown = [f"{row['psnr']:.2f}", f"{delta:+.2f}", f"{row['ssim']:.3f}"]
            line += shown
        lines.append(line)
    head = ["choice", "setting"]
    for scene in scenes:
        head += [f"{scene}, dB", "difference", "SSIM"]
    return table(head, lines)


if __name__ == "__main__":
    chosen = tyro.cli(Ablation)
    run_command(lambda: print(ablate(chosen)))
