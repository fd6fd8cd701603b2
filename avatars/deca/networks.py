"""DECA's three networks, with the names and shapes of its published weights."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from avatars.resnet50 import ResNet50
from avatars.weight_files import load_strictly, read_weights
from dnr.errors import InputError
from dnr.shapes import check_shape

INPUT_SIZE = 224
UV_SIZE = 256
MAX_DISPLACEMENT = 0.01  # metres
CODE_WIDTHS = {"shape": 100, "texture": 50, "expression": 50, "pose": 6, "camera": 3, "light": 27}
DETAIL_CODES = 128


class DecaCodes(NamedTuple):
    """What the coarse encoder says about a face."""

    shape: Tensor  # [B, 100], FLAME's
    texture: Tensor  # [B, 50]
    expression: Tensor  # [B, 50], FLAME's
    pose: Tensor  # [B, 6], rotation of the root and of the jaw
    camera: Tensor  # [B, 3], see camera.py
    light: Tensor  # [B, 9, 3], see light.py


class Encoder(nn.Module):
    """A photo of 224x224, RGB in [0, 1], becomes `outputs` numbers."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.encoder = ResNet50()
        self.layers = nn.Sequential(nn.Linear(2048, 1024), nn.ReLU(), nn.Linear(1024, outputs))

    def forward(self, image: Tensor) -> Tensor:  # [B, 3, 224, 224] -> [B, outputs]
        check_shape("image", image, f"B 3 {INPUT_SIZE} {INPUT_SIZE}")
        return self.layers(self.encoder(image))


class DetailDecoder(nn.Module):
    """Jaw, expression and detail codes become displacements in metres over the UV square."""

    def __init__(self) -> None:
        super().__init__()
        self.l1 = nn.Sequential(nn.Linear(3 + 50 + DETAIL_CODES, 128 * 8 * 8))
        layers: list[nn.Module] = [nn.BatchNorm2d(128)]
        widths = (128, 128, 64, 64, 32, 16)
        for inputs, outputs in pairwise(widths):
            layers += [
                nn.Upsample(scale_factor=2, mode="bilinear"),
                nn.Conv2d(inputs, outputs, 3, padding=1),
                nn.BatchNorm2d(outputs, eps=0.8),  # as published; 0.8 was meant for momentum
                nn.LeakyReLU(0.2),
            ]
        self.conv_blocks = nn.Sequential(*layers, nn.Conv2d(16, 1, 3, padding=1), nn.Tanh())

    def forward(self, code: Tensor) -> Tensor:  # [B, 181] -> [B, 1, 256, 256]
        start = self.l1(code).reshape(-1, 128, 8, 8)
        return MAX_DISPLACEMENT * self.conv_blocks(start)


class Deca(nn.Module):
    """The networks together. `eval()` is the state in which they were published."""

    def __init__(self) -> None:
        super().__init__()
        self.E_flame = Encoder(sum(CODE_WIDTHS.values()))
        self.E_detail = Encoder(DETAIL_CODES)
        self.D_detail = DetailDecoder()
        self.eval()

    def coarse(self, image: Tensor) -> DecaCodes:  # [B, 3, 224, 224]
        """FLAME codes, camera and light of a cropped face."""
        return split_codes(self.E_flame(image))

    def displacement(self, image: Tensor, codes: DecaCodes) -> Tensor:  # [B, 1, 256, 256]
        """Wrinkles of the person in `image` under the jaw and expression of `codes`."""
        parts = [codes.pose[:, 3:], codes.expression, self.E_detail(image)]
        return self.D_detail(torch.cat(parts, dim=1))


def split_codes(code: Tensor) -> DecaCodes:  # [B, 236]
    """The parts of the coarse encoder's answer."""
    check_shape("code", code, f"B {sum(CODE_WIDTHS.values())}")
    parts = dict(zip(CODE_WIDTHS, code.split(list(CODE_WIDTHS.values()), dim=1), strict=True))
    return DecaCodes(**parts | {"light": parts["light"].reshape(-1, 9, 3)})


def load_deca(path: Path) -> Deca:
    """The networks in the user's deca_model.tar, or a refusal that names what does not fit."""
    content = read_weights(path)
    if not isinstance(content, dict):
        raise InputError(f"{path} is not deca_model.tar: it holds no networks; give that file")
    with torch.device("meta"):  # no time for random numbers that are thrown away
        deca = Deca()
    deca.to_empty(device="cpu")
    for name, network in deca.named_children():
        load_strictly(path, network, content.get(name), name)
    return deca.eval()
