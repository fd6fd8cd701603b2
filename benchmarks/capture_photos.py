"""A folder of photos becomes an asset, as train.py does it; and every figure of that."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from benchmarks.capture_truth import camera_errors
from benchmarks.timing import threads
from dnr.capture.albums import photos_in
from dnr.capture.build import CaptureOptions, build_capture
from dnr.capture.folder import View, load_views
from dnr.files import read_json
from dnr.training.options import TrainOptions
from dnr.training.run import train


def measure_photos(
    photos: Path, size: int, steps: int, known: Path | None, out: Path
) -> dict[str, Any]:
    """Cameras, surface and scores after `train.py photos --size S --exposure --steps N`."""
    run = out / f"{photos.resolve().parent.name}-{size}"
    beside = run.with_name(f"{run.name}-capture")
    with threads(1):
        began = time.process_time()
        build_capture(photos, beside, CaptureOptions())  # where train.py looks for it
        made = time.process_time()
        train(TrainOptions(photos, run, size=size, exposure=True, steps=steps))
        trained = time.process_time()
    record = read_json(beside / "capture.json")
    poses, proxy = record["poses"], record["proxy"]
    row: dict[str, Any] = {"photos": photos.resolve().name}
    row |= {"placed": f"{poses['registered']} of {poses['photos']}"}
    row |= {"reprojection, px": poses["reprojection_error_px"]}
    if known is not None:
        taken = photos_in(photos)  # collecting has numbered them in this order
        views = [view._replace(name=taken[_number(view)].name) for view in load_views(beside)[0]]
        row |= camera_errors(views, load_views(known)[0]).row()
    row |= {"covered, %": round(100 * proxy["coverage_mean"], 2)}
    row |= {"worst photo, %": round(100 * proxy["coverage_worst"], 2)}
    row |= {"depth error, %": round(100 * proxy["depth_error"], 3)}
    metrics = read_json(run / "metrics.json")
    for name, title in (("psnr_neighbours", "neighbours'"), ("psnr_half", "half")):
        ours, average = metrics["test"][name], metrics["averaged_texture"][name]
        row[f"PSNR, {title} exposure, dB"] = round(ours, 2)
        row[f"averaged texture, {title}"] = round(average, 2)
        row[f"above it, {title}"] = round(ours - average, 2)
    return row | {"capture, CPU s": round(made - began), "training, CPU s": round(trained - made)}


def _number(view: View) -> int:
    return int(Path(view.name).stem)
