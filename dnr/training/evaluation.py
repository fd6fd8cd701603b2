"""Scores of an asset on photos it has not seen."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from dnr.asset import Asset
from dnr.capture.folder import load_capture
from dnr.capture.photos import Photos, prepare_photos
from dnr.clips import run_cameras
from dnr.errors import InputError
from dnr.files import read_json
from dnr.geometry.camera_files import Split
from dnr.images import images_from_tensor
from dnr.progress import progress
from dnr.training.exposure import fitted_gain
from dnr.training.metrics import DEFINITION, lpips_or_none, psnr, ssim

MEASURED = {
    "pixels": "all pixels of a photo count; those that undistortion left without data do not. "
    "Behind a mask the photo shows the asset's own backdrop",
    "psnr_neighbours": "as psnr, after each render was given the exposure of its photo as far as "
    "that is known without looking at it: the geometric mean of the learned gains of the training "
    "photos before and after it by name (a training photo has its own)",
    "psnr_half": "as psnr, on the right half of each view after a gain per channel was fitted on "
    "the left half (the exposure of a photo that training has not seen is unknown)",
    "averaged_texture": "the same scores of the photos' mean colour on the same mesh, exposure "
    "corrected where it is learned: what training has to beat",
}


class Scored(NamedTuple):
    """One photo beside its rendering."""

    name: str
    truth: np.ndarray  # uint8 [H, W, 3]
    render: np.ndarray  # uint8 [H, W, 3], at the photo's exposure where that is known
    figures: dict[str, float]


def score(
    asset: Asset,
    photos: Photos,
    exposures: Tensor | None = None,  # [N, 3] of the photos, where training learns exposure
) -> Iterator[Scored]:
    """Render every photo's view and compare."""
    lpips, _ = lpips_or_none()
    for index, camera in enumerate(photos.cameras):
        render = asset.render(camera).cpu()
        truth, valid = photo_over_backdrop(photos, index, asset)
        figures = _figures(render, truth, valid)
        if exposures is not None:
            figures |= _exposed_figures(render, truth, valid, exposures[index])
            render = render * exposures[index][:, None, None]
        if lpips is not None:
            figures["lpips"] = float(lpips(render * valid[:, None], truth * valid[:, None]))
        images = images_from_tensor(torch.cat([truth, render]))
        yield Scored(photos.names[index], images[0], images[1], figures)


def summary(scored: list[Scored]) -> dict[str, float]:
    """The means over views, and their number."""
    if not scored:
        return {"num_views": 0}
    names = scored[0].figures
    means = {name: float(np.mean([s.figures[name] for s in scored])) for name in names}
    return means | {"num_views": len(scored)}


def definition(names: Iterable[str]) -> dict[str, str]:
    """What each of the numbers means."""
    meanings = DEFINITION | MEASURED
    return {name: meanings[name] for name in names if name in meanings}


def evaluate_asset(run: Path, asset: Asset, data: Path | None, split: Split) -> dict[str, Any]:
    """Scores on one split of a capture; by default the one that the asset was trained on."""
    scored = compare(run, asset, data, split)
    numbers = summary(scored)
    per_view = {item.name: item.figures for item in scored}
    return {split: numbers, "views": per_view, "definition": definition([*numbers, "pixels"])}


def compare(
    run: Path, asset: Asset, data: Path | None = None, split: Split = "test"
) -> list[Scored]:
    """Every photo of the split beside its rendering."""
    source, size = trained_on(run)
    source = data or source
    if not source.is_dir():
        raise InputError(
            f"{source} is not a folder; name the capture to compare with by --data CAPTURE"
        )
    capture = load_capture(source, run / "mesh.npz")  # its own mesh is not read
    capture = replace(capture, views=[view for view in capture.views if view.split == split])
    if not capture.views:
        raise InputError(f"{source} has no {split} views; choose another --split")
    with tempfile.TemporaryDirectory() as folder:
        photos = prepare_photos(capture, Path(folder), size)
        exposures = _exposures(run, photos.names)
        if data is None and read_json(run / "asset.json")["training"].get("refine_cameras"):
            cameras = run_cameras(run, (split,))
            own = [cameras.get(n, c) for n, c in zip(photos.names, photos.cameras, strict=True)]
            photos = replace(photos, cameras=own)
        scored = []
        with progress(len(photos), "comparing views") as shown:
            for item in score(asset, photos, exposures):
                scored.append(item)
                shown.update(len(scored), psnr=item.figures["psnr"])
    return scored


def trained_on(run: Path) -> tuple[Path, int | None]:
    """The capture that the run says it was trained on, and the height of its photos then."""
    match read_json(run / "asset.json").get("training"):
        case {"source": str(source), "size": int() | None as size}:
            return Path(source), size
    raise InputError(f"{run / 'asset.json'} does not say what was trained on; train again")


def _exposures(run: Path, names: list[str]) -> Tensor | None:  # [N, 3]
    """What the run knows of the exposure of the photos with these names; None if it is nothing."""
    path = run / "asset.json"
    rows = read_json(path).get("exposures")
    if rows is None or not all(name in rows for name in names):
        return None
    try:
        gains = torch.tensor([[float(gain) for gain in rows[name]] for name in names])
        usable = gains.shape == (len(names), 3) and bool((gains > 0).all() and (gains < 1e3).all())
    except (TypeError, ValueError) as error:
        raise InputError(f"the exposures in {path} are damaged; train again") from error
    if not usable:
        raise InputError(f"the exposures in {path} are damaged; train again")
    return gains


def _figures(render: Tensor, truth: Tensor, valid: Tensor) -> dict[str, float]:
    """Numbers of one view. Pixels without data are shown equal, so that no window sees them."""
    shown = torch.where(valid[:, None] > 0, render, truth)
    return {"psnr": _decibels(render, truth, valid), "ssim": float(ssim(shown, truth))}


def _exposed_figures(
    render: Tensor, truth: Tensor, valid: Tensor, gain: Tensor
) -> dict[str, float]:
    """The two ways to score a photo whose own exposure nobody has told."""
    figures = {"psnr_neighbours": _decibels(render * gain[:, None, None], truth, valid)}
    half = truth.shape[-1] // 2
    if half:
        gain = fitted_gain(render[0, :, :, :half], truth[0, :, :, :half], valid[0, :, :half])
        right = (slice(None), slice(None), slice(None), slice(half, None))
        adjusted = render[right] * gain[:, None, None]
        figures["psnr_half"] = _decibels(adjusted, truth[right], valid[..., half:])
    return figures


def _decibels(render: Tensor, truth: Tensor, valid: Tensor) -> float:
    return min(float(psnr(render, truth, valid)), 99.0)  # equal images: not infinite


def photo_over_backdrop(photos: Photos, index: int, asset: Asset) -> tuple[Tensor, Tensor]:
    """The photo [1, 3, H, W] with the backdrop behind its mask, and its weights [1, H, W]."""
    photo = photos[index]
    rgb = torch.from_numpy(np.array(photo.rgb)).permute(2, 0, 1)[None].float() / 255
    alpha = torch.from_numpy(np.array(photo.alpha))[None, None].float() / 255
    valid = torch.from_numpy(np.array(photo.valid == 255))[None].float()
    backdrop = asset.backdrop(photos.cameras[index].rays().to(asset.device)).cpu()
    return rgb * alpha + backdrop * (1 - alpha), valid
