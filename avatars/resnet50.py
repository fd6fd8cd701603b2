"""ResNet-50 without its classifier: 2048 numbers that describe an image (He et al. 2015).

Names of weights are those of the published networks that contain it.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

MakeNorm = Callable[[int], nn.Module]
MakeConv = Callable[[int, int, int, int], nn.Module]  # channels in, out, kernel, stride


def plain_conv(inputs: int, outputs: int, kernel: int, stride: int) -> nn.Module:
    """A convolution that keeps the size, but for its stride."""
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions beside a shortcut; the stride is on the 3x3."""

    def __init__(
        self, inputs: int, width: int, stride: int, norm: MakeNorm, conv: MakeConv
    ) -> None:
        super().__init__()
        outputs = 4 * width
        self.conv1, self.bn1 = conv(inputs, width, 1, 1), norm(width)
        self.conv2, self.bn2 = conv(width, width, 3, stride), norm(width)
        self.conv3, self.bn3 = conv(width, outputs, 1, 1), norm(outputs)
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(conv(inputs, outputs, 1, stride), norm(outputs))
        else:
            self.downsample = None

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.bn1(self.conv1(x)))
        y = torch.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet50(nn.Module):
    """[B, 3, H, W] -> [B, 2048]."""

    def __init__(self, norm: MakeNorm = nn.BatchNorm2d, conv: MakeConv = plain_conv) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv(3, 64, 7, 2), norm(64)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = _stage(64, 64, 3, 1, norm, conv)
        self.layer2 = _stage(256, 128, 4, 2, norm, conv)
        self.layer3 = _stage(512, 256, 6, 2, norm, conv)
        self.layer4 = _stage(1024, 512, 3, 2, norm, conv)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(torch.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return x.mean(dim=(2, 3))


def _stage(
    inputs: int, width: int, blocks: int, stride: int, norm: MakeNorm, conv: MakeConv
) -> nn.Sequential:
    first = Bottleneck(inputs, width, stride, norm, conv)
    rest = [Bottleneck(4 * width, width, 1, norm, conv) for _ in range(blocks - 1)]
    return nn.Sequential(first, *rest)
