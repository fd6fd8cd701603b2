"""How close a rendering is to its photo: PSNR, SSIM, and LPIPS where its weights are present."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from dnr.shapes import check_shape

WINDOW, SIGMA_PX = 11, 1.5  # of SSIM: Wang et al., Image Quality Assessment, 2004
_BACKBONE = "alexnet-owt-7be5be79.pth"  # the name ends in the first digits of the file's SHA-256

DEFINITION = {
    "psnr": "decibels, 10 log10(1 / mean squared error) over all pixels and channels of an image, "
    "colours in [0, 1], render clamped; mean over views; larger is better",
    "psnr_masked": "as psnr, over the pixels inside the mask only",
    "ssim": f"structural similarity, {WINDOW}x{WINDOW} Gaussian window of sigma {SIGMA_PX} px, "
    "K1 0.01, K2 0.03, colours in [0, 1], render clamped; mean over channels and over all windows "
    "that lie inside the image (no padding); mean over views; 1 is perfect",
    "lpips": "learned perceptual distance 0.1, AlexNet backbone with ImageNet weights, colours "
    "scaled from [0, 1] to [-1, 1]; mean over views; smaller is better",
    "num_views": "held-out views that the mean is over",
    "steps": "optimiser steps",
    "seconds": "wall-clock time of training, from the first step to the last",
    "steps_per_second": "steps divided by seconds",
    "device": "where training ran",
}
"""What each number of `metrics.json` means, for its "definition" block."""

Metric = Callable[[Tensor, Tensor], Tensor]
"""Prediction and target [B, 3, H, W] in [0, 1] -> [B]."""


def psnr(
    prediction: Tensor,  # [B, C, H, W], clamped to [0, 1] here
    target: Tensor,  # [B, C, H, W] in [0, 1]
    weight: Tensor | None = None,  # [B, H, W], for instance a mask
) -> Tensor:  # [B]
    """Peak signal-to-noise ratio per image, in decibels.

    Equal images give infinity; an image whose weights are all zero gives NaN.
    """
    _check_pair(prediction, target)
    squared = (prediction.clamp(0, 1) - target).square().mean(dim=1)  # [B, H, W]
    if weight is None:
        return -10 * squared.mean(dim=(1, 2)).log10()
    check_shape("weight", weight, f"{len(target)} {target.shape[2]} {target.shape[3]}")
    return -10 * ((squared * weight).sum(dim=(1, 2)) / weight.sum(dim=(1, 2))).log10()


def ssim(
    prediction: Tensor,  # [B, C, H, W], clamped to [0, 1] here
    target: Tensor,  # [B, C, H, W] in [0, 1]
) -> Tensor:  # [B]
    """Structural similarity per image, mean over channels and all windows inside the image.

    Differentiable. Images smaller than the window are refused, not padded.
    """
    _check_pair(prediction, target)
    if min(target.shape[2:]) < WINDOW:
        raise ValueError(
            f"images must be at least {WINDOW} px wide and high for SSIM, "
            f"got {list(target.shape[2:])}"
        )
    # double: a flat area's variance is the difference of two nearly equal numbers
    first, second = prediction.clamp(0, 1).double(), target.double()
    moments = [first, second, first**2 + second**2, first * second]
    mean_a, mean_b, squares, product = _window_means(torch.cat(moments, dim=1)).chunk(4, dim=1)
    variances = squares - mean_a**2 - mean_b**2
    covariance = product - mean_a * mean_b
    steady_mean, steady_variance = 0.01**2, 0.03**2
    similarity = (2 * mean_a * mean_b + steady_mean) * (2 * covariance + steady_variance)
    similarity = similarity / (mean_a**2 + mean_b**2 + steady_mean) / (variances + steady_variance)
    return similarity.mean(dim=(1, 2, 3)).to(target.dtype)


def _window_means(planes: Tensor) -> Tensor:  # [B, P, H, W] -> [B, P, H - 10, W - 10]
    """Gaussian means over every window that fits: along columns, then along rows, no padding."""
    offsets = torch.arange(WINDOW, dtype=planes.dtype, device=planes.device) - WINDOW // 2
    kernel = functional.softmax(-offsets.square() / (2 * SIGMA_PX**2), dim=0)  # sums to one
    count = planes.shape[1]
    # one group per plane: five times faster on a CPU than the planes as a batch
    down = functional.conv2d(planes, kernel.reshape(-1, 1).expand(count, 1, -1, 1), groups=count)
    return functional.conv2d(down, kernel.expand(count, 1, 1, -1), groups=count)


def _check_pair(prediction: Tensor, target: Tensor) -> None:
    check_shape("target", target, "B C H W")
    check_shape("prediction", prediction, " ".join(map(str, target.shape)))


def lpips_or_none(like: Tensor | None = None) -> tuple[Metric | None, str]:
    """The LPIPS metric on the device of `like`, or None; and a sentence that says which and why.

    Nothing is downloaded, and the network is never left with random weights: the backbone's file
    must lie in torch's own cache, under its published name and with its published checksum.
    """
    missing = [name for name in ("lpips", "torchvision") if find_spec(name) is None]
    if missing:
        return None, f"LPIPS was not measured: the package {missing[0]} is not installed."
    backbone = Path(torch.hub.get_dir()) / "checkpoints" / _BACKBONE
    if not backbone.is_file():
        return None, f"LPIPS was not measured: its backbone {_BACKBONE} is not in torch's cache."
    if not hashlib.sha256(backbone.read_bytes()).hexdigest().startswith(backbone.stem[-8:]):
        return None, f"LPIPS was not measured: {_BACKBONE} in torch's cache is damaged."
    try:
        lpips = import_module("lpips")
    except (ImportError, RuntimeError) as error:  # RuntimeError: torchvision built for other torch
        return None, f"LPIPS was not measured: its packages do not load ({error})."
    # "pnet_rand" only stops lpips from downloading: every weight is overwritten on the next lines
    network = lpips.LPIPS(net="alex", version="0.1", pnet_rand=True, verbose=False)
    trained = torch.load(backbone, weights_only=True, map_location="cpu")
    network.net.load_state_dict(  # "slice2.3.weight" there is "features.3.weight" in the file
        {name: trained["features." + name.partition(".")[2]] for name in network.net.state_dict()}
    )
    network = network.requires_grad_(False).to(torch.device("cpu") if like is None else like.device)

    def metric(prediction: Tensor, target: Tensor) -> Tensor:  # [B, 3, H, W] twice -> [B]
        return network(prediction.clamp(0, 1), target, normalize=True).flatten()

    return metric, "LPIPS uses the AlexNet backbone from torch's cache."
