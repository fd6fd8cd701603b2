"""What each part of an avatar is worth: `python -m benchmarks.avatar_ablation`, one table."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import tyro
from tyro.conf import Positional

from avatars.synthetic.film import VIDEO, FilmOptions, film
from avatars.tracking.options import TrackOptions
from avatars.tracking.track_video import track_video
from avatars.training.options import AvatarOptions
from avatars.training.prepare import TRACK
from avatars.training.run import train_avatar
from benchmarks.results import ROOT, Results, Row
from benchmarks.tables import provenance, table
from dnr.commands import run_command
from dnr.files import read_json

WHOLE = "everything"
TRIALS: dict[str, dict[str, Any]] = {
    WHOLE: {},
    "static texture only": {"ablate": ("moving_texture",)},
    "no layers for hair and torso": {"ablate": ("layers",)},
    "no mouth inside": {"ablate": ("mouth",)},
    "no view dependence": {"ablate": ("normals",)},
    "track from landmarks only": {"refine": False},
}
FIGURES = {
    "psnr": "whole dB",
    "psnr_person_masked": "person dB",
    "ssim_person_masked": "person SSIM",
    "psnr_mouth_masked": "mouth dB",
    "psnr_eyes_masked": "eyes dB",
}


@dataclass(frozen=True)
class AvatarAblation:
    """Train avatars of one video, each with one part left out, and print one table.

    Tracks and rows that are there already are not made again; remove them to start anew.
    """

    video: Positional[Path | None] = None
    """Video of one person, who must have agreed to it; by default a made-up actor is filmed."""
    out: Path = ROOT / "benchmarks" / "results"
    """Folder for avatar_ablation.json; films, tracks and runs lie in avatars/ in it."""
    steps: int = 400
    """Gradient steps of each run."""
    size: int = 128
    """Side of the pictures."""
    frames: int = 300
    """Of the made-up actor's film."""


def ablate(options: AvatarAblation) -> str:
    """The table, after everything that is missing has been measured."""
    torch.set_num_threads(1)
    results = Results.open(options.out / "avatar_ablation.json")
    work = options.out / "avatars"
    video = options.video or _filmed(work / f"actor-{options.frames}", options.frames)
    name = "made-up actor" if options.video is None else video.name
    asked: Row = {"video": name, "steps": options.steps, "size": options.size}
    for trial, changes in TRIALS.items():
        if results.has("avatars", trial=trial, **asked):
            continue
        settings: dict[str, Any] = {"refine": True} | changes
        run = work / "run"
        shutil.rmtree(run, ignore_errors=True)
        shutil.copytree(_tracked(work, video, settings["refine"]), run / "cache" / TRACK)
        train_avatar(
            AvatarOptions(
                source=video, out=run, steps=options.steps, size=options.size, yes=True, **settings
            )
        )
        figures = read_json(run / "metrics.json")["test"]
        kept = {key: figures[key] for key in FIGURES}
        results.add("avatars", {"trial": trial} | asked | kept)
        shutil.rmtree(run)
    rows = [row for row in results.sections["avatars"] if asked.items() <= row.items()]
    return f"{ablation_table(rows)}\n\n{provenance({'avatars': rows})}"


def ablation_tables(rows: list[Row]) -> list[str]:
    """Every video's table under its title."""
    texts = []
    for asked in dict.fromkeys((row["video"], row["steps"], row["size"]) for row in rows):
        video, steps, size = asked
        some = [row for row in rows if (row["video"], row["steps"], row["size"]) == asked]
        title = f"**What each part of an avatar is worth: {video}, {size} px, {steps} steps**"
        texts += [title, ablation_table(some), provenance({"avatars": some})]
    return texts


def ablation_table(rows: list[Row]) -> str:
    """Trials down; figures, and what they differ from those of the whole, across."""
    whole = next((row for row in rows if row["trial"] == WHOLE), None)
    lines = []
    for row in rows:
        cells = [row["trial"]]
        for key in FIGURES:
            digits = 3 if "ssim" in key else 2
            cell = f"{row[key]:.{digits}f}"
            if whole is not None and row is not whole:
                cell += f" ({row[key] - whole[key]:+.{digits}f})"
            cells.append(cell)
        lines.append(cells)
    return table(["avatar with", *FIGURES.values()], lines)


def _filmed(folder: Path, frames: int) -> Path:
    if not folder.is_dir():
        film(folder, FilmOptions(frames=frames))
    return folder / VIDEO


def _tracked(work: Path, video: Path, refine: bool) -> Path:
    """The track's folder; an attempt that was stopped goes on."""
    out = work / f"{video.parent.name}-{video.stem}-{'refined' if refine else 'landmarks'}"
    track_video(video, out, TrackOptions(refine=refine, report=False))
    return out


if __name__ == "__main__":
    run_command(lambda: print(ablate(tyro.cli(AvatarAblation))))
