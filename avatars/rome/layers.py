"""The blocks of ROME's networks, with the names of its published weights."""

import torch
from torch import Tensor, nn
from torch.nn import functional

HARMONICS = 6


class StandardConv(nn.Conv2d):
    """A convolution whose weights are standardised per output channel (Qiao et al. 2019)."""

    def forward(self, input: Tensor) -> Tensor:  # torch's name for it
        flat = self.weight.flatten(start_dim=1)
        spread = flat.std(dim=1, keepdim=True) + 1e-5
        standard = ((flat - flat.mean(dim=1, keepdim=True)) / spread).reshape(self.weight.shape)
        return functional.conv2d(
            input, standard, self.bias, self.stride, self.padding, self.dilation, self.groups
        )


def group_norm(channels: int) -> nn.GroupNorm:
    """Normalisation over at most 32 groups of channels.

    Published layers have 64 channels or more. In narrower ones groups keep two: one channel alone
    would forget how large it was, and with it the colour of a face.
    """
    return nn.GroupNorm(min(32, max(channels // 2, 1)), channels)


def _norm_relu(channels: int) -> list[nn.Module]:
    return [group_norm(channels), nn.ReLU()]


class Residual(nn.Module):
    """1x1, 3x3, 3x3, 1x1 convolutions, each after its norm and ReLU, beside a shortcut."""

    def __init__(self, inputs: int, width: int, outputs: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            *_norm_relu(inputs),
            StandardConv(inputs, width, 1, bias=False),
            *_norm_relu(width),
            StandardConv(width, width, 3, padding=1, bias=False),
            *_norm_relu(width),
            StandardConv(width, width, 3, padding=1, bias=False),
            *_norm_relu(width),
            nn.Conv2d(width, outputs, 1, bias=False),
        )
        if inputs != outputs:
            self.skip = nn.Conv2d(inputs, outputs, 1, bias=False)
        else:
            self.skip = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.main(x) + self.skip(x)


class TwoConvs(nn.Module):
    """Two 3x3 convolutions, each before its norm and ReLU."""

    def __init__(self, inputs: int, width: int, outputs: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            StandardConv(inputs, width, 3, padding=1, bias=False),
            *_norm_relu(width),
            StandardConv(width, outputs, 3, padding=1, bias=False),
            *_norm_relu(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.main(x)


def harmonics(x: Tensor, dim: int) -> Tensor:
    """`x`, then sine and cosine of it times 1, 2, 4, 8, 16 and 32, side by side along `dim`.

    The paper multiplies by 1, 2, 3 and so on; the published weights were trained with these.
    """
    waves = [wave(x * 2**octave) for octave in range(HARMONICS) for wave in (torch.sin, torch.cos)]
    return torch.cat([x, *waves], dim=dim)
