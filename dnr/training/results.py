"""What a finished run leaves behind: scores, the report, the asset."""

from __future__ import annotations

import platform
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from dnr import __version__
from dnr.asset import Asset
from dnr.capture.photos import Photos
from dnr.clips import ORBIT_FRAMES, one_size, render_frames
from dnr.files import read_json, write_json
from dnr.geometry.paths import orbit
from dnr.images import images_from_tensor
from dnr.progress import progress
from dnr.training.evaluation import Scored, definition, score, summary
from dnr.training.metrics import lpips_or_none
from dnr.training.options import TrainOptions
from dnr.training.report import Report, View, write_report
from dnr.training.state import TrainingState
from dnr.training.views import Views
from dnr.training.warm_start import coverage
from dnr.video import write_video

TURNTABLE = "turntable.mp4"


def command_line() -> str:
    """The command that is running, to be pasted into a shell."""
    program = Path(sys.argv[0]).name
    return shlex.join([*(["python"] if program.endswith(".py") else []), program, *sys.argv[1:]])


def write_results(
    state: TrainingState, views: Views, photos: Photos, options: TrainOptions, notes: list[str]
) -> None:
    """Score on held-out views, and write metrics, report and asset, the asset last."""
    asset, out = state.asset, options.out
    held_out = photos.of("test")
    scored: list[Scored] = []
    with progress(len(held_out), "scoring held-out views") as shown:
        for item in score(asset, held_out):
            scored.append(item)
            shown.update(len(scored))
    numbers = summary(scored)
    per_second = state.step / state.seconds if state.seconds else 0.0
    training = {
        "steps": state.step,
        "seconds": round(state.seconds, 2),
        "device": str(asset.device),
        "steps_per_second": round(per_second, 2),
    }
    metrics = {"test": numbers, "train": training, "definition": definition(numbers | training)}
    write_json(out / "metrics.json", metrics)
    if options.turntable:
        turn = orbit(one_size(list(photos.cameras)), asset.mesh, ORBIT_FRAMES)
        write_video(out / TURNTABLE, render_frames(asset, turn))
    notes = [*notes, lpips_or_none()[1]] if "lpips" not in numbers else notes
    config = plain(asdict(options)) | {"recipe": plain(asdict(state.recipe))}
    write_report(
        out,
        Report(
            title=f"{options.source.name}: {options.preset}",
            command=command_line(),
            versions={
                "dnr": __version__,
                "torch": torch.__version__,
                "python": platform.python_version(),
            },
            config=config,
            metrics=metrics,
            history=state.history,
            views=[View(item.name, item.truth, item.render) for item in scored],
            texture_images=_texture_images(asset),
            uv_coverage=coverage(views, min(asset.config.texture.size, 512)),
            video=TURNTABLE if options.turntable else None,
            notes=notes,
        ),
    )
    about = {"training": config | {"source": str(options.source.resolve()), "metrics": metrics}}
    about["cameras"] = _cameras(photos)
    about["provenance"] = {"program": f"dnr {__version__}", "command": command_line()}
    asset.save(out, about)
    say_where(out)


def say_where(run: Path) -> None:
    """Print the scores of a finished run, and where to find what."""
    numbers = read_json(run / "metrics.json").get("test", {})
    figures = "".join(f"  {name} {numbers[name]:.4g}" for name in numbers if name != "num_views")
    print(f"{numbers.get('num_views', 0)} held-out views:{figures}")
    print(f"asset:  {run}\nreport: {run / 'report' / 'index.html'}")
    if (run / TURNTABLE).is_file():
        print(f"video:  {run / TURNTABLE}")


def _texture_images(asset: Asset) -> list[tuple[str, np.ndarray]]:
    """The first channels of the texture as pictures."""
    config = asset.config.texture
    side = min(config.colour_size, 1024)
    size = (side, side)
    levels = [level.detach().cpu() for level in asset.texture.colour_levels()]
    colour = _summed(levels, size)
    indices = range(config.levels)
    neural = _summed(
        [asset.texture.features.level(i)[..., 3:6].detach().cpu() for i in indices], size
    )
    neural = neural / neural.std().clamp(min=1e-6) / 4 + 0.5
    pictures = images_from_tensor(torch.cat([colour, neural]).clamp(0, 1))
    return [("colour", pictures[0]), ("first neural channels (the bent normal)", pictures[1])]


def _summed(levels: list[torch.Tensor], size: tuple[int, int]) -> torch.Tensor:  # [1, 3, H, W]
    """A pyramid as one image."""
    images = [level.permute(2, 0, 1)[None] for level in levels]
    grown = [functional.interpolate(image, size, mode="bilinear") for image in images]
    return torch.stack(grown).sum(dim=0)


def _cameras(photos: Photos) -> list[dict[str, Any]]:
    """Where the photos were taken from, so that the run can be rendered without its capture."""
    rows = []
    for camera, name, split in zip(photos.cameras, photos.names, photos.splits, strict=True):
        row = {"name": name, "split": split, "size": list(camera.size)}
        row["world_to_camera"] = camera.world_to_camera[0].tolist()
        rows.append(row | {"intrinsics": camera.intrinsics[0].tolist()})
    return rows


def plain(value: Any) -> Any:
    """The same with paths as text, for JSON."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return str(value) if isinstance(value, Path) else value
