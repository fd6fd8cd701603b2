"""The perceptual distance of VGG-19, when its weights are among the user's files."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from avatars.weight_files import load_strictly, read_weights
from dnr.errors import InputError

# Convolutions and pools up to conv5_1, as in Simonyan and Zisserman 2014, table 1, column E.
_LAYERS = (64, 64, 0, 128, 128, 0, 256, 256, 256, 256, 0, 512, 512, 512, 512, 0, 512)
_WEIGHTS = {"1_1": 1 / 32, "2_1": 1 / 16, "3_1": 1 / 8, "4_1": 1 / 4, "5_1": 1.0}


class PerceptualDistance(nn.Module):
    """Weighted mean absolute differences after the first convolution of each of five stages."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        self.taps: list[int] = []  # positions of the ReLUs that are compared
        inputs, is_first = 3, True
        for width in _LAYERS:
            if not width:
                layers.append(nn.MaxPool2d(2))
                is_first = True
                continue
            layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU()]
            if is_first:
                self.taps.append(len(layers) - 1)
            inputs, is_first = width, False
        self.features = nn.Sequential(*layers)
        self.requires_grad_(False)

    def forward(self, image: Tensor, target: Tensor) -> Tensor:  # [B, 3, H, W] in [0, 1]
        mean = image.new_tensor([0.485, 0.456, 0.406])[:, None, None]
        spread = image.new_tensor([0.229, 0.224, 0.225])[:, None, None]
        x, y = (image - mean) / spread, (target - mean) / spread
        total, weights = image.new_zeros(()), iter(_WEIGHTS.values())
        for index, layer in enumerate(self.features):
            x, y = layer(x), layer(y)
            if index in self.taps:
                total = total + next(weights) * (x - y.detach()).abs().mean()
        return total


def load_perceptual(path: Path) -> PerceptualDistance:
    """From torchvision's file vgg19-dcbb9e9d.pth; later layers in it are not needed."""
    content = read_weights(path)
    if not isinstance(content, dict):
        raise InputError(f"{path} does not hold VGG-19; give torchvision's vgg19-dcbb9e9d.pth")
    with torch.device("meta"):
        distance = PerceptualDistance()
    distance.to_empty(device="cpu")
    names = distance.state_dict().keys()
    load_strictly(path, distance, {k: v for k, v in content.items() if k in names}, "VGG-19")
    return distance
