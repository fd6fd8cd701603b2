"""The per-pixel renderer: a small network shades every surface point on its own.

Nothing spills from one pixel to the next, any crop is exact, and the asset stays paintable:

    colour = texture colour * gain + highlight + residual

where gain and highlight are single numbers per point, the residual is small (it is penalised in
training), and the network that makes all three does not see the texture's colour channels. Editing
those channels is therefore painting, right from every view.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from dnr.raster.surface import Surface
from dnr.renderers.directional import (
    DEGREE,
    NORMAL_OFFSET,
    NUM_HARMONICS,
    Lamps,
    directional_inputs,
)
from dnr.renderers.tint_cpu import tint
from dnr.textures.harmonics import harmonics, reflect
from dnr.textures.pyramid import COLOURS

NUM_MULTIPLIED = 9
"""Channels that the published way scales, by three bands of harmonics."""
SLOPE = 0.05
"""Of a unit that is off."""


@dataclass(frozen=True)
class PixelConfig:
    hidden: int = 64
    """Width of the two hidden layers."""
    lamps: int = 16
    """Learned directions to bright things; 0 leaves highlights to the harmonics alone."""
    direction: Literal["bent", "reflection", "view", "none"] = "bent"
    """What the network knows of direction: the mirror direction about a learned normal (with
    lamps), about the mesh's normal, the view direction alone, or nothing. All but the first are for
    ablations."""
    view: bool = False
    """Also harmonics of the view direction itself. On meshes made from photos, which are a little
    wrong everywhere, neighbouring photos then agree with each other (0.4 dB on the fox); on exact
    ones they are one more way to memorise photos (1 to 1.5 dB lost on the bench sphere)."""
    combine: Literal["concatenate", "multiply"] = "concatenate"
    """Whether harmonics stand beside the features or, as published in 2019, scale them."""

    def __post_init__(self) -> None:
        if self.combine == "multiply" and self.direction in ("bent", "none"):
            raise ValueError(
                f"direction must be reflection or view to multiply, got {self.direction}"
            )

    @property
    def least_neural(self) -> int:
        """Channels besides colour that it cannot do without."""
        if self.direction == "bent":
            return NORMAL_OFFSET
        multiplies = self.combine == "multiply" and self.direction != "none"
        return NUM_MULTIPLIED if multiplies else 0


class Shading(NamedTuple):
    """Colours of N points, and the part of them that paint cannot reach."""

    colour: Tensor  # [N, 3]
    residual: Tensor  # [N, 3]


class PixelRenderer(nn.Module):
    def __init__(self, channels: int, config: PixelConfig) -> None:
        super().__init__()
        self.config = config
        neural = channels - COLOURS
        self.lamps = Lamps(config.lamps if config.direction == "bent" else 0)
        inputs = neural
        if config.direction == "bent":
            inputs += NUM_HARMONICS + 1 + config.lamps
        elif config.combine == "concatenate" and config.direction != "none":
            inputs += NUM_HARMONICS + 1
        inputs += NUM_HARMONICS if config.view else 0
        last = nn.Linear(config.hidden, 2 + COLOURS)
        nn.init.zeros_(last.weight)  # so that the first picture is the texture itself
        nn.init.zeros_(last.bias)
        self.layers = nn.ModuleList(
            [nn.Linear(inputs, config.hidden), nn.Linear(config.hidden, config.hidden), last]
        )

    def forward(self, features: Tensor, surface: Surface) -> Shading:  # [N, C], leading [N]
        gain, highlight, residual = self._numbers(features, surface).split([1, 1, COLOURS], dim=-1)
        return Shading(features[:, :COLOURS] * (1 + gain) + highlight + residual, residual)

    @torch.no_grad()
    def show(self, features: Tensor, surface: Surface, out: Tensor) -> None:
        """Fill out [N, 3] with the colours of `forward`, between 0 and 1, without gradients."""
        if out.device.type != "cpu" or out.dtype != torch.float32:
            torch.clamp(self(features, surface).colour, 0, 1, out=out)
            return
        tint(features.numpy(), self._numbers(features, surface).numpy(), out.numpy())

    def _numbers(self, features: Tensor, surface: Surface) -> Tensor:  # [N, 2 + 3]
        """Gain, highlight and residual."""
        x = self._inputs(features[:, COLOURS:], surface)
        if self.config.view:
            x = torch.cat([x, harmonics(surface.view, DEGREE)], dim=-1)
        return self._network(x)

    def _network(self, x: Tensor) -> Tensor:  # [N, K] -> [N, 2 + 3]
        first, second, last = self.layers
        fast = fast_bfloat16(x.device)
        if fast and x.device.type == "cpu" and not torch.is_grad_enabled():
            # With the kink inside the product, memory is passed over once instead of twice.
            y = _bent_product(_bent_product(x.bfloat16(), first), second)
            return functional.linear(y, *_bfloat16(last)).to(x.dtype)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=fast):
            return last(_bend(second(_bend(first(x))))).to(x.dtype)

    def _inputs(self, neural: Tensor, surface: Surface) -> Tensor:  # [N, C - 3] -> [N, K]
        normal, view = surface.normal, surface.view
        if self.config.direction == "bent":
            return directional_inputs(neural, normal, view, *self.lamps())
        if self.config.direction == "none":
            return neural
        direction = view if self.config.direction == "view" else reflect(view, normal)
        if self.config.combine == "multiply":
            return multiply_harmonics(neural, direction, first=0)
        facing = (normal * view).sum(dim=-1, keepdim=True)
        return torch.cat([neural, harmonics(direction, 3), facing], dim=-1)


def _bend(x: Tensor) -> Tensor:
    """A kink with a slope on both sides: with plain ReLU units die, and with them whole effects
    such as the glare at grazing angles (2 dB on one bench scene, by luck of the seed)."""
    return functional.leaky_relu(x, SLOPE)


def _bent_product(x: Tensor, layer: nn.Module) -> Tensor:  # bfloat16, on the CPU
    """_bend(layer(x)) in one call; torch has it for its compiler and gives it no public name."""
    return torch.ops.mkldnn._linear_pointwise(x, *_bfloat16(layer), "leaky_relu", [SLOPE], "")


def _bfloat16(layer: nn.Module) -> tuple[Tensor, Tensor]:  # [O, I], [O]
    """Weight and bias of a linear layer."""
    assert isinstance(layer, nn.Linear)
    return layer.weight.bfloat16(), layer.bias.bfloat16()


def multiply_harmonics(features: Tensor, direction: Tensor, first: int) -> Tensor:  # [*, C]
    """Features with nine channels from `first` on scaled by the first three bands of harmonics."""
    bands = harmonics(direction, 2)
    scaled = features[..., first : first + NUM_MULTIPLIED] * bands
    return torch.cat(
        [features[..., :first], scaled, features[..., first + NUM_MULTIPLIED :]], dim=-1
    )


def fast_bfloat16(device: torch.device) -> bool:
    """Whether matrix products are faster in bfloat16 here (they accumulate in float32 anyway)."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    return device.type == "cpu" and torch.cpu._is_avx512_bf16_supported()
