"""Published networks written a second time: from lists of layers and names of weights, in float64.

Nothing here is shared with the product but the names of the weights.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

Weights = Mapping[str, Tensor]
Networks = TypeVar("Networks", bound=nn.Module)


def listing_digest(network: nn.Module) -> str:
    """SHA-256 of the sorted lines "name (shape)" of everything that is in a file of weights."""
    rows = sorted(f"{name} {tuple(v.shape)}" for name, v in network.state_dict().items())
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()


def constants(network: nn.Module) -> dict[str, Tensor]:
    """Weights that are one number each, which makes files of a few kilobytes."""
    content = {}
    for number, (name, value) in enumerate(network.state_dict().items()):
        content[name] = torch.tensor(number).to(value.dtype).expand(value.shape)
    return content


def fill_randomly(network: nn.Module, generator: torch.Generator) -> dict[str, Tensor]:
    """Random weights and statistics that keep numbers near one; the same in float64."""
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if not value.is_floating_point():
                value.zero_()
            elif name.endswith("running_var"):
                value.copy_(0.5 + torch.rand(value.shape, generator=generator))
            elif value.ndim > 1:
                draw = torch.randn(value.shape, generator=generator)
                value.copy_(draw * (2 / value[0].numel()) ** 0.5)
            elif name.endswith("weight"):
                value.copy_(0.5 + torch.rand(value.shape, generator=generator))
            else:
                value.copy_(0.2 * torch.randn(value.shape, generator=generator))
    return {k: v.double() if v.is_floating_point() else v for k, v in network.state_dict().items()}


def random_networks(make: Callable[[], Networks]) -> tuple[Networks, dict[str, dict[str, Tensor]]]:
    """Networks with random weights, ready to be asked, and the same weights in float64."""
    with torch.device("meta"):
        networks = make()
    networks.to_empty(device="cpu")
    generator = torch.Generator().manual_seed(0)
    weights = {name: fill_randomly(net, generator) for name, net in networks.named_children()}
    return networks.eval(), weights


def batch_norm(w: Weights, name: str, x: Tensor, eps: float = 1e-5) -> Tensor:
    mean, var, scale, shift = (
        w[f"{name}.{part}"][:, None, None]
        for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / torch.sqrt(var + eps) * scale + shift


def group_norm(w: Weights, name: str, x: Tensor) -> Tensor:
    count, channels = len(x), x.shape[1]
    groups = x.reshape(count, min(32, channels), -1)
    mean = groups.mean(dim=2, keepdim=True)
    var = ((groups - mean) ** 2).mean(dim=2, keepdim=True)
    flat = ((groups - mean) / torch.sqrt(var + 1e-5)).reshape(x.shape)
    return flat * w[f"{name}.weight"][:, None, None] + w[f"{name}.bias"][:, None, None]


def conv(w: Weights, name: str, x: Tensor, stride: int = 1, standard: bool = False) -> Tensor:
    kernel = w[f"{name}.weight"]
    if standard:
        mean = kernel.mean(dim=(1, 2, 3), keepdim=True)
        spread = torch.sqrt(
            ((kernel - mean) ** 2).sum(dim=(1, 2, 3), keepdim=True) / (kernel[0].numel() - 1)
        )
        kernel = (kernel - mean) / (spread + 1e-5)
    padding = kernel.shape[-1] // 2
    return functional.conv2d(x, kernel, w.get(f"{name}.bias"), stride, padding)


def linear(w: Weights, name: str, x: Tensor) -> Tensor:
    y = x @ w[f"{name}.weight"].T
    return y + w[f"{name}.bias"] if f"{name}.bias" in w else y


def resnet50(w: Weights, prefix: str, x: Tensor) -> Tensor:
    x = batch_norm(w, f"{prefix}bn1", conv(w, f"{prefix}conv1", x, 2)).clamp(min=0)
    x = functional.max_pool2d(x, 3, 2, 1)
    for stage, blocks in enumerate((3, 4, 6, 3), start=1):
        for block in range(blocks):
            name, stride = f"{prefix}layer{stage}.{block}.", 2 if stage > 1 and block == 0 else 1
            y = batch_norm(w, f"{name}bn1", conv(w, f"{name}conv1", x)).clamp(min=0)
            y = batch_norm(w, f"{name}bn2", conv(w, f"{name}conv2", y, stride)).clamp(min=0)
            y = batch_norm(w, f"{name}bn3", conv(w, f"{name}conv3", y))
            if block == 0:
                shortcut = conv(w, f"{name}downsample.0", x, stride)
                x = batch_norm(w, f"{name}downsample.1", shortcut)
            x = (x + y).clamp(min=0)
    return x.mean(dim=(2, 3))


def deca_encoder(w: Weights, x: Tensor) -> Tensor:
    y = linear(w, "layers.0", resnet50(w, "encoder.", x)).clamp(min=0)
    return linear(w, "layers.2", y)


def deca_decoder(w: Weights, code: Tensor) -> Tensor:
    x = linear(w, "l1.0", code).reshape(len(code), 128, 8, 8)
    x = batch_norm(w, "conv_blocks.0", x)
    for first in (2, 6, 10, 14, 18):
        x = functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        x = conv(w, f"conv_blocks.{first}", x)
        x = batch_norm(w, f"conv_blocks.{first + 1}", x, eps=0.8)
        x = torch.where(x > 0, x, 0.2 * x)
    return 0.01 * torch.tanh(conv(w, "conv_blocks.21", x))


def rome_autoencoder(w: Weights, x: Tensor) -> Tensor:
    x = conv(w, "net.0", x)
    for index in range(1, 23):
        if index in (3, 6, 9):
            x = functional.max_pool2d(x, 2)
        elif index in (14, 17, 20):
            x = x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
        else:
            y, name = x, f"net.{index}."
            for norm, layer in ((0, 2), (3, 5), (6, 8), (9, 11)):
                y = group_norm(w, f"{name}main.{norm}", y).clamp(min=0)
                y = conv(w, f"{name}main.{layer}", y, standard=layer != 11)
            x = y + (conv(w, f"{name}skip", x) if f"{name}skip.weight" in w else x)
    return conv(w, "net.25", group_norm(w, "net.23", x).clamp(min=0))


def rome_unet(w: Weights, x: Tensor) -> Tensor:
    def two(name: str, x: Tensor) -> Tensor:
        for layer in (0, 3):
            x = conv(w, f"{name}.main.{layer}", x, standard=True)
            x = group_norm(w, f"{name}.main.{layer + 1}", x).clamp(min=0)
        return x

    kept = []
    for level in range(4):
        x = two(f"encoder.{level}.0", x)
        if level < 3:
            kept.append(x)
            x = functional.max_pool2d(x, 2)
    for level in range(3):
        larger = x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
        x = two(f"decoder.{level}.0", torch.cat([larger, kept[2 - level]], dim=1))
    return conv(w, "to_outputs", x)


def rome_mlp(w: Weights, x: Tensor) -> Tensor:
    y = x
    for layer in (0, 2, 4, 6):
        y = linear(w, f"block_1.{layer}", y).clamp(min=0)
    y = torch.cat([x, y], dim=-1)
    for layer in (0, 2, 4, 6):
        y = linear(w, f"block_2.{layer}", y).clamp(min=0)
    return linear(w, "block_2.8", y)
