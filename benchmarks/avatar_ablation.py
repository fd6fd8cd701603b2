"""What each part of an avatar is worth: `python -m benchmarks.avatar_ablation VIDEO`, one table."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
from tyro.conf import Positional

from avatars.training.options import AvatarOptions
from avatars.training.prepare import TRACK
from avatars.training.run import train_avatar
from benchmarks.results import ROOT, Results, Row
from benchmarks.tables import provenance, table
from dnr.cli import run_command
from dnr.files import read_json

TRIALS: dict[str, dict[str, Any]] = {
    "everything": {},
    "static texture only": {"ablate": ("moving_texture",)},
    "no layers for hair and torso": {"ablate": ("layers",)},
    "no mouth inside": {"ablate": ("mouth",)},
    "no view dependence": {"ablate": ("normals",)},
    "track from landmarks only": {"refine": False},
}
FIGURES = {
    "psnr_person_masked": "person dB",
    "ssim_person_masked": "person SSIM",
    "psnr_mouth_masked": "mouth dB",
    "psnr_eyes_masked": "eyes dB",
    "psnr": "whole dB",
}


@dataclass(frozen=True)
class AvatarAblation:
    """Train avatars of one video, each with one part left out, and print one table.

    The person in the video must have agreed to it. Rows that the JSON file holds already are not
    measured again; remove it to start anew.
    """

    video: Positional[Path]
    """Video of one person."""
    out: Path = ROOT / "benchmarks" / "results"
    """Folder for avatar_ablation.json and for the runs."""
    steps: int = 600
    """Gradient steps of each run."""
    size: int = 256
    """Side of the pictures."""
    refine: bool = True
    """Whether tracks are refined on the pictures, which takes longer than training."""


def ablate(options: AvatarAblation) -> str:
    """The table, after everything that is missing has been measured."""
    results = Results.open(options.out / "avatar_ablation.json")
    for name, changes in TRIALS.items():
        if not options.refine and "refine" in changes:
            continue
        row: Row = {"video": options.video.name, "trial": name}
        row |= {"steps": options.steps, "size": options.size, "refine": options.refine}
        if results.has("avatars", **row):
            continue
        run = options.out / "avatars" / f"{options.video.stem}-{name.replace(' ', '-')}"
        shutil.rmtree(run, ignore_errors=True)
        settings: dict[str, Any] = {"refine": options.refine} | changes
        _share_track(options.out / "avatars", run, settings["refine"])
        train_avatar(
            AvatarOptions(
                source=options.video, out=run, steps=options.steps, size=options.size, yes=True,
                **settings,
            )
        )  # fmt: skip
        figures = read_json(run / "metrics.json")["test"]
        results.add("avatars", row | {key: figures[key] for key in FIGURES if key in figures})
    rows = [row for row in results.sections["avatars"] if row["video"] == options.video.name]
    return f"{ablation_table(rows)}\n\n{provenance({'avatars': rows})}"


def ablation_table(rows: list[Row]) -> str:
    """Trials down, figures across."""
    lines = [
        [row["trial"], *(f"{row[key]:.2f}" if key in row else "-" for key in FIGURES)]
        for row in rows
    ]
    return table(["avatar with", *FIGURES.values()], lines)


def _share_track(runs: Path, run: Path, refine: bool) -> None:
    """Give `run` the track of an earlier trial that was made the same way, if there is one."""
    for other in sorted(runs.glob("*/asset.json")):
        training = read_json(other)["training"]
        same_video = training["source"].endswith(run.name.partition("-")[0] + ".mp4")
        if same_video and training["refine"] == refine and (other.parent / TRACK).is_dir():
            shutil.copytree(other.parent / TRACK, run / "cache" / TRACK)
            return


if __name__ == "__main__":
    run_command(lambda: print(ablate(tyro.cli(AvatarAblation))))
