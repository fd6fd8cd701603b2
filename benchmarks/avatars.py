"""How good and how fast avatars are: `python -m benchmarks.avatars CLIP ...`, tables.

Made-up actors need no clips: one becomes an avatar, the other drives it, and what the face in the
film does is compared with what the driver truly did.
"""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import tyro
from tyro.conf import Positional

from avatars.heads.files import load_head
from avatars.heads.head import Motion
from avatars.heads.movements import MOVEMENTS, movements
from avatars.synthetic.film import VIDEO, FilmOptions, Truth, film, load_truth
from avatars.tracking.options import TrackOptions
from avatars.tracking.track_video import track_video
from avatars.training.evaluation import evaluate_avatar
from benchmarks.results import ROOT, Results, Row
from benchmarks.tables import provenance, table
from dnr.commands import run_command
from dnr.files import read_json
from dnr.footage import open_footage

LEAST_MOVED = 0.005
"""Standard deviation in the truth below which a movement is not one."""
SELF = {
    "psnr": "whole dB", "psnr_person_masked": "person dB", "ssim_person_masked": "person SSIM",
    "psnr_mouth_masked": "mouth dB", "psnr_eyes_masked": "eyes dB", "jitter": "unsteadiness",
    "jitter_real": "real",
}  # fmt: skip
DRIVEN = {"detected": "face found", "identity_drift": "identity drift"} | {
    f"follows_{name}": name.replace("_", " ")
    for name in ("mouth_open", "lid_right", "lid_left", "gaze", "yaw", "pitch", "roll")
}
_MOVED = {name: name.replace("_", " ") for name in MOVEMENTS}
SPEED = {"frames": "frames", "seconds": "seconds", "rate": "frames/s", "cpu_ms": "CPU ms/frame"}


@dataclass(frozen=True)
class AvatarBench:
    """Train avatars, score them, drive them with each other, and time that; prints tables.

    Runs and rows that are there already are not made again; remove them to start anew. People in
    the clips must have agreed to it.
    """

    clips: Positional[tuple[Path, ...]] = ()
    """Videos of one person each; every avatar is driven by all the others."""
    out: Path = ROOT / "benchmarks" / "results"
    """Folder for avatars.json; films and runs lie in avatars/ in it."""
    steps: int = 1200
    """Gradient steps of each avatar."""
    preset: Literal["best", "realtime"] = "best"
    """Of each avatar."""
    size: int = 256
    """Side of the pictures."""
    frames: int = 300
    """Of the made-up actors' films; 0 for none."""
    avatars: tuple[str, ...] = ()
    """Names without suffix of the clips that become avatars; by default all of them."""


def bench(options: AvatarBench) -> str:
    """The tables, after everything that is missing has been measured."""
    torch.set_num_threads(1)
    results = Results.open(options.out / "avatars.json")
    work = options.out / "avatars"
    if options.frames:
        _bench_actors(options, results, work)
    for clip in options.clips:
        if not options.avatars or clip.stem in options.avatars:
            run = _trained(options, results, work, clip.stem, clip)
            for driver in options.clips:
                row: Row = {"avatar": clip.stem, "driver": driver.stem, "steps": options.steps}
                row |= {"preset": options.preset}
                if driver != clip and not results.has("driven", **row):
                    figures = evaluate_avatar(run, driver, "test", torch.device("cpu"))["driven"]
                    results.add("driven", row | figures)
                _time(results, work, run, driver)
    return tables(results.sections)


def tables(sections: dict[str, list[Row]]) -> str:
    """All rows, by section."""
    texts = []
    for key, first, columns, title in (
        ("self", ("avatar", "preset", "steps"), SELF, "Avatars against the end of their own video"),
        ("driven", ("avatar", "driver"), DRIVEN, "Driven by others: correlation with the driver"),
        ("actors", ("avatar", "driver"), _MOVED, "Made-up actors: correlation with the truth"),
        ("speed", ("avatar", "driver"), SPEED, "reenact.py, from start to finished film"),
    ):
        rows = sections.get(key, [])
        lines = [[*(r[k] for k in first), *(_cell(r.get(k)) for k in columns)] for r in rows]
        if rows:
            texts += [f"**{title}**", table([*first, *columns.values()], lines)]
            texts += [provenance({key: rows})]
    return "\n\n".join(texts)


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.4g}"


def _bench_actors(options: AvatarBench, results: Results, work: Path) -> None:
    """Actor A becomes an avatar, B drives it."""
    films = {name: work / f"actor-{name}-{options.frames}" for name in ("A", "B")}
    for seed, (name, folder) in enumerate(films.items()):
        if not folder.is_dir():
            film(folder, FilmOptions(actor=name, frames=options.frames, seed=seed))  # type: ignore[arg-type]
    run = _trained(options, results, work, f"actor-A-{options.frames}", films["A"] / VIDEO)
    row: Row = {"avatar": "actor A", "driver": "actor B", "steps": options.steps}
    row |= {"preset": options.preset}
    if not results.has("actors", **row):
        out = work / "actor-driven.mp4"
        _reenact(run, films["B"] / VIDEO, out)
        results.add("actors", row | followed(load_truth(films["B"]), out, work / "actor-driven"))
    _time(results, work, run, films["B"] / VIDEO)


def followed(truth: Truth, made: Path, track: Path) -> dict[str, float]:
    """Correlation of every movement in the film `made`, tracked anew, with the driver's truth."""
    shutil.rmtree(track, ignore_errors=True)
    seen = track_video(made, track, TrackOptions(refine=False, report=False), has_masks=False)
    arrays = (truth.expression, truth.gaze, truth.neck)
    motion = Motion(*(torch.from_numpy(array).float() for array in arrays))
    head, identity = load_head(), torch.from_numpy(truth.identity).float()
    wanted, shown = movements(head, identity, motion), movements(head, seen.identity, seen.motion)
    count = min(len(wanted), len(shown))
    figures = {}
    for column, name in enumerate(MOVEMENTS):
        a, b = wanted[:count, column].numpy(), shown[:count, column].numpy()
        if a.std() > LEAST_MOVED:
            figures[name] = round(float(np.corrcoef(a, b)[0, 1]), 4)
    return figures


def _trained(options: AvatarBench, results: Results, work: Path, name: str, video: Path) -> Path:
    """The run folder of an avatar, and a row of its scores."""
    run = work / f"{name}-{options.preset}-{options.size}-{options.steps}"
    if not (run / "metrics.json").is_file():
        arguments = ["--kind", "avatar", "--out", run, "--yes"]
        arguments += ["--steps", options.steps, "--size", options.size]
        arguments += ["--preset", options.preset]
        _command("train.py", video, *arguments)
    row: Row = {"avatar": name, "steps": options.steps, "size": options.size}
    row |= {"preset": options.preset}
    if not results.has("self", **row):
        figures = read_json(run / "metrics.json")["test"]
        results.add("self", row | {key: figures[key] for key in SELF if key in figures})
    return run


def _time(results: Results, work: Path, run: Path, driver: Path) -> None:
    """How long the command takes as a user starts it, with all the cores that there are."""
    row: Row = {"avatar": run.name, "driver": f"{driver.parent.name}/{driver.stem}"}
    if results.has("speed", **row):
        return
    began = time.monotonic()
    cpu_s = _reenact(run, driver, work / "timed.mp4")
    seconds = time.monotonic() - began
    frames = open_footage(work / "timed.mp4").length or 0
    row |= {"frames": frames, "seconds": round(seconds, 2), "rate": round(frames / seconds, 2)}
    results.add("speed", row | {"cpu_ms": round(1000 * cpu_s / max(frames, 1), 1)})


def _reenact(run: Path, driver: Path, out: Path) -> float:
    return _command("reenact.py", run, "--driving", driver, "--out", out, "--yes")


def _command(script: str, *arguments: object) -> float:
    """Run a script of this project, and return its processor seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, ROOT / script, *map(str, arguments)], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    run_command(lambda: print(bench(tyro.cli(AvatarBench))))
