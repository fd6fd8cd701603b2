"""How close an avatar's pictures come to the real ones, all over and where people look."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np

from avatars.avatar.avatar import Avatar
from avatars.training.boxes import box_mask
from avatars.training.clip import Clip
from dnr.images import images_from_tensor, tensor_from_images
from dnr.training.metrics import DEFINITION as WHOLE_IMAGE
from dnr.training.metrics import Metric

DEFINITION = {
    "psnr": "decibels over all pixels of the square picture, plate included, colours in [0, 1]; "
    "mean over frames of each frame's own; larger is better",
    "psnr_person_masked": "the same over pixels of the person's mask (segmentation above one half)",
    "psnr_mouth_masked": "the same over the box of the mouth's landmarks",
    "psnr_eyes_masked": "the same over the boxes of both eyes' landmarks",
    "ssim": "structural similarity of luminance, 11x11 Gaussian window of sigma 1.5 px, K1 0.01, "
    "K2 0.03; mean over all pixels, then over frames; 1 is perfect",
    "ssim_person_masked": "the mean of the same map over the person's mask",
    "lpips": WHOLE_IMAGE["lpips"],
    "jitter": "unsteadiness: mean absolute second difference of luminance (0 to 255) over time "
    "divided by the square root of six, inside the mask, over the calmest fifth of the frames",
    "jitter_real": "the same for the real frames",
    "warp_error": "mean absolute difference (0 to 255) between a picture and the one before, moved "
    "by the optical flow of the real frames (Farneback), inside the mask",
    "warp_error_real": "the same for the real frames",
    "num_frames": "held-out frames that the means are over",
}
"""What each number means, for the definition block of metrics.json."""


class Scored(NamedTuple):
    """One frame beside its rendering."""

    index: int
    truth: np.ndarray  # uint8 [S, S, 3]
    render: np.ndarray  # uint8 [S, S, 3]
    numbers: dict[str, float]


def score_frames(
    avatar: Avatar, clip: Clip, every: int = 1, lpips: Metric | None = None
) -> Iterator[Scored]:
    """Every `every`-th frame of `clip`, rendered from its track and compared."""
    for index in range(0, len(clip), every):
        picture = avatar.render(clip.performance.frame(index))
        render = images_from_tensor(picture.image)[0]
        truth = np.asarray(clip.frames[index])
        person = clip.masks[index] > 127
        numbers = compare(truth, render, person, clip.landmarks[index])
        if lpips is not None:
            numbers["lpips"] = float(lpips(picture.image, tensor_from_images(truth, picture.image)))
        yield Scored(index, truth, render, numbers)


def compare(
    truth: np.ndarray,  # uint8 [S, S, 3]
    render: np.ndarray,  # uint8 [S, S, 3]
    person: np.ndarray,  # bool [S, S]
    points: np.ndarray,  # [478, 2]
) -> dict[str, float]:
    """The scores of one frame."""
    squared = ((truth.astype(np.float64) - render) / 255) ** 2
    squared = squared.mean(axis=-1)
    similar = similarity_map(grey(truth), grey(render))
    size = len(truth)
    numbers = {"psnr": decibels(squared), "ssim": float(similar.mean())}
    if person.any():
        numbers["psnr_person_masked"] = decibels(squared[person])
        numbers["ssim_person_masked"] = float(similar[person].mean())
    for name in ("mouth", "eyes"):
        inside = box_mask(points, size, name)
        if inside.any():
            numbers[f"psnr_{name}_masked"] = decibels(squared[inside])
    return numbers


def summary(scored: list[Scored], masks: np.ndarray) -> dict[str, float]:
    """Means over frames, and the numbers that need consecutive ones."""
    names = ("psnr", "psnr_person_masked", "psnr_mouth_masked", "psnr_eyes_masked")
    names += ("ssim", "ssim_person_masked", "lpips")
    numbers: dict[str, float] = {}
    for name in names:
        values = [item.numbers[name] for item in scored if name in item.numbers]
        if values:
            numbers[name] = round(float(np.mean(values)), 4)
    consecutive = all(b.index == a.index + 1 for a, b in pairwise(scored))
    if len(scored) >= 10 and consecutive:
        numbers |= _over_time(scored, masks)
    return numbers | {"num_frames": len(scored)}


def decibels(squared: np.ndarray) -> float:
    """PSNR of squared errors; equal pictures count as 99."""
    return float(min(-10 * np.log10(max(float(squared.mean()), 1e-12)), 99.0))


def grey(image: np.ndarray) -> np.ndarray:  # uint8 [H, W, 3] -> float64 [H, W], 0 to 255
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float64)


def similarity_map(a: np.ndarray, b: np.ndarray) -> np.ndarray:  # [H, W], 0 to 255
    """Structural similarity around every pixel (Wang et al. 2004)."""

    def mean(image: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(image, (11, 11), 1.5, borderType=cv2.BORDER_REFLECT)

    steady, contrast = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mean_a, mean_b = mean(a), mean(b)
    spread = mean(a * a) - mean_a**2 + mean(b * b) - mean_b**2
    shared = mean(a * b) - mean_a * mean_b
    above = (2 * mean_a * mean_b + steady) * (2 * shared + contrast)
    return above / ((mean_a**2 + mean_b**2 + steady) * (spread + contrast))


def _over_time(scored: list[Scored], masks: np.ndarray) -> dict[str, float]:
    real, made = [], []
    warped_real, warped_made = [], []
    truths = [grey(item.truth) for item in scored[:3]]
    renders = [grey(item.render) for item in scored[:3]]
    for place in range(1, len(scored) - 1):
        if place > 1:
            truths = [*truths[1:], grey(scored[place + 1].truth)]
            renders = [*renders[1:], grey(scored[place + 1].render)]
        inside = masks[scored[place].index] > 127
        if not inside.any():
            continue
        real.append(_shake(truths)[inside].mean())
        made.append(_shake(renders)[inside].mean())
        if place % 4 == 1:
            back = _flow(truths[1], truths[0])
            warped_real.append(np.abs(truths[1] - _moved(truths[0], back))[inside].mean())
            warped_made.append(np.abs(renders[1] - _moved(renders[0], back))[inside].mean())
    if not real:
        return {}
    calm = np.argsort(real)[: max(len(real) // 5, 1)]
    numbers = {
        "jitter": np.array(made)[calm].mean(),
        "jitter_real": np.array(real)[calm].mean(),
        "warp_error": np.mean(warped_made),
        "warp_error_real": np.mean(warped_real),
    }
    return {name: round(float(value), 4) for name, value in numbers.items()}


def _shake(three: list[np.ndarray]) -> np.ndarray:
    return np.abs(three[0] - 2 * three[1] + three[2]) / np.sqrt(6)


def _flow(image: np.ndarray, before: np.ndarray) -> np.ndarray:  # [H, W, 2]
    start = np.zeros((*image.shape, 2), np.float32)
    return cv2.calcOpticalFlowFarneback(
        image.astype(np.uint8), before.astype(np.uint8), start, 0.5, 3, 15, 3, 5, 1.1, 0
    )


def _moved(image: np.ndarray, flow: np.ndarray) -> np.ndarray:
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]].astype(np.float32)
    places = (columns + flow[..., 0], rows + flow[..., 1])
    return cv2.remap(image, *places, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
