"""What a finished run leaves behind: scores, the report, the asset."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from dnr import __version__
from dnr.asset import Asset
from dnr.capture.photos import Photos
from dnr.capture.pictures import stored_pictures
from dnr.clips import ORBIT_FRAMES, one_size, render_frames
from dnr.files import read_json, write_json
from dnr.geometry.paths import orbit
from dnr.images import images_from_tensor
from dnr.progress import progress
from dnr.training.baseline import averaged_texture
from dnr.training.checkpoints import Resumable
from dnr.training.evaluation import Scored, definition, score, summary
from dnr.training.exposure import exposures_of
from dnr.training.metrics import lpips_or_none
from dnr.training.options import TrainOptions
from dnr.training.report import Report, View, command_line, write_report
from dnr.training.state import TrainingState
from dnr.training.views import Views
from dnr.training.warm_start import coverage
from dnr.video import write_video

TURNTABLE = "turntable.mp4"


def training_summary(state: Resumable, device: torch.device) -> dict[str, Any]:
    """How long training took, and on what."""
    per_second = state.step / state.seconds if state.seconds else 0.0
    return {
        "steps": state.step,
        "seconds": round(state.seconds, 2),
        "device": str(device),
        "steps_per_second": round(per_second, 2),
    }


def write_results(
    state: TrainingState, views: Views, photos: Photos, options: TrainOptions, notes: list[str]
) -> None:
    """Score on held-out views, and write metrics, report and asset, the asset last."""
    asset, out = state.asset, options.out
    held_out = photos.of("test")
    exposures, gains = None, None
    if state.exposure is not None:
        gains = state.exposure.gains().detach().cpu()
        exposures = exposures_of(photos.names, photos.splits, gains)
    scored = _scored(asset, held_out, _of_test(exposures, photos), "scoring held-out views")
    ordinary = averaged_texture(asset, views, gains)
    before = _scored(ordinary, held_out, _of_test(exposures, photos), "scoring an average")
    numbers = summary(scored)
    training = training_summary(state, asset.device)
    metrics = {"test": numbers, "averaged_texture": summary(before), "train": training}
    metrics["definition"] = definition([*numbers, *training, "averaged_texture", "pixels"])
    write_json(out / "metrics.json", metrics)
    if options.turntable:
        turn = orbit(one_size(list(photos.cameras)), asset.mesh, ORBIT_FRAMES)
        write_video(out / TURNTABLE, render_frames(asset, turn))
    notes = [*notes, lpips_or_none()[1]] if "lpips" not in numbers else notes
    if exposures is not None:
        notes = [
            *notes,
            "held-out views are shown at the exposure of the training photos before and after them",
        ]
    config = plain(asdict(options)) | {"recipe": plain(asdict(state.recipe))}
    write_report(
        out,
        Report(
            title=f"{options.source.name}: {options.preset}",
            config=config,
            metrics=metrics,
            history=state.history,
            views=[View(item.name, item.truth, item.render) for item in scored],
            texture_images=_texture_images(asset),
            uv_coverage=coverage(views, min(asset.config.texture.size, 512)),
            capture_images=stored_pictures(options.source / "report"),
            video=TURNTABLE if options.turntable else None,
            notes=notes,
        ),
    )
    about = {"training": config | {"source": str(options.source.resolve()), "metrics": metrics}}
    about["cameras"] = _cameras(photos)
    if exposures is not None:
        about["exposures"] = dict(zip(photos.names, exposures.tolist(), strict=True))
    about["provenance"] = {"program": f"dnr {__version__}", "command": command_line()}
    asset.save(out, about)
    say_where(out)


def _scored(asset: Asset, photos: Photos, exposures: Tensor | None, what: str) -> list[Scored]:
    scored: list[Scored] = []
    with progress(len(photos), what) as shown:
        for item in score(asset, photos, exposures):
            scored.append(item)
            shown.update(len(scored))
    return scored


def _of_test(exposures: Tensor | None, photos: Photos) -> Tensor | None:  # [N, 3] -> [T, 3]
    held_out = [split == "test" for split in photos.splits]
    return None if exposures is None else exposures[torch.tensor(held_out)]


def say_where(run: Path) -> None:
    """Print the scores of a finished run, and where to find what."""
    metrics = read_json(run / "metrics.json")
    count = metrics.get("test", {}).get("num_views", 0)
    words = {"test": f"{count} held-out views", "averaged_texture": "averaged texture"}
    for part in words:
        numbers = metrics.get(part, {})
        figures = [f"  {name} {numbers[name]:.4g}" for name in numbers if name != "num_views"]
        print(f"{words[part]}:{''.join(figures)}")
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
