"""What work must cost at least: its arithmetic at the speed of bare layers, its bytes at that of a
copy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.timing import measure
from dnr.asset import Asset
from dnr.renderers.image import ImageRenderer
from dnr.renderers.pixel import fast_bfloat16
from dnr.textures.pyramid import NeuralTexture

FLOAT = 4
LAYERS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
POINT_FIELDS = 2 + 3 + 3 + 1 + 3
"""Numbers that a renderer reads (uv, normal, view, footprint) and writes (colour) per point."""


class Layers(NamedTuple):
    """The convolutions and matrix products of one forward pass."""

    flops: int
    seconds: float  # of the bare layers on inputs of the same shapes, in the type they run in
    num_bytes: int  # read and written by convolutions, whose images do not stay in the cache

    @property
    def speed(self) -> float:
        """Operations per second."""
        return self.flops / max(self.seconds, 1e-12)


def count_flops(work: Callable[[], object]) -> int:
    """Operations of convolutions and matrix products; a multiply-add is two."""
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


def measure_layers(network: nn.Module, forward: Callable[[], object], repeats: int) -> Layers:
    """Run `forward`, note every layer of `network` it calls, and time these layers alone."""
    calls: Counter[tuple[nn.Module, torch.Size]] = Counter()

    def note(layer: nn.Module, inputs: tuple[Tensor, ...], _: object) -> None:
        calls[layer, inputs[0].shape] += 1

    layers = [module for module in network.modules() if isinstance(module, LAYERS)]
    hooks = [layer.register_forward_hook(note) for layer in layers]
    with torch.enable_grad():  # as in training: without, layers may be fused and call no hooks
        flops = count_flops(forward)
    for hook in hooks:
        hook.remove()
    dtype = torch.bfloat16 if fast_bfloat16(torch.device("cpu")) else torch.float32
    seconds, num_bytes = 0.0, 0
    with torch.inference_mode():
        for (layer, shape), count in calls.items():
            weights = {k: v.detach().to(dtype) for k, v in layer.named_parameters()}
            given = torch.randn(shape, dtype=dtype)

            def work(layer=layer, weights=weights, given=given) -> Tensor:
                return torch.func.functional_call(layer, weights, given)

            seconds += count * measure(work, repeats).least / 1000
            if not isinstance(layer, nn.Linear):
                touched = given.numel() + work().numel() + sum(w.numel() for w in weights.values())
                num_bytes += count * touched * given.element_size()
    return Layers(flops, seconds, num_bytes)


def forward_bytes(asset: Asset, layers: Layers, uv: Tensor) -> int:  # uv [N, 2]
    """Texels seen, points read, colours and images of features written, all once."""
    num_bytes = layers.num_bytes + len(uv) * POINT_FIELDS * FLOAT
    if isinstance(asset.renderer, ImageRenderer):
        num_bytes += 2 * len(uv) * asset.config.texture.channels * FLOAT
    return num_bytes + texel_bytes(asset.texture, uv)


def step_bytes(asset: Asset, layers: Layers, uv: Tensor) -> int:
    """The forward pass, two such passes back, and Adam: weights and two moments, read, written."""
    weights = sum(p.numel() for p in asset.renderer.parameters()) * FLOAT
    return 3 * forward_bytes(asset, layers, uv) + 6 * (weights + texel_bytes(asset.texture, uv))


def texel_bytes(texture: NeuralTexture, uv: Tensor) -> int:
    """Of the texels nearest to the points, each counted once."""
    total = 0
    for pyramid in texture.pyramids:
        for size in pyramid.sizes:
            column, row = (uv.clamp(0, 1 - 1e-6) * size).long().unbind(dim=-1)
            total += len(torch.unique(row * size + column)) * pyramid.texels.shape[1] * FLOAT
    return total
