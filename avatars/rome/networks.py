"""ROME's four networks, with the names and shapes of its published weights."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from avatars.rome.layers import HARMONICS, Residual, TwoConvs, group_norm, harmonics
from avatars.weight_files import load_strictly, read_weights
from dnr.errors import InputError
from dnr.shapes import check_shape

WIDTH, TEXTURE_CHANNELS, GEOMETRY_CHANNELS = 64, 8, 32
_ENCODED = 1 + 2 * HARMONICS  # numbers that one number becomes


class Autoencoder(nn.Module):
    """A photo and its matte become a neural texture: what every point of the surface looks like."""

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        blocks: list[nn.Module] = [nn.Conv2d(4, 4 * width, 7, padding=3, bias=False)]
        inputs = 4 * width
        for level in range(4):
            middle = width << level
            blocks += [Residual(inputs, middle, 4 * middle)]
            blocks += [Residual(4 * middle, middle, 4 * middle)]
            blocks += [nn.MaxPool2d(2)] if level < 3 else []
            inputs = 4 * middle
        for level in (3, 2, 1, 0):
            middle, outputs = width << level, 4 * width << max(level - 1, 0)
            blocks += [Residual(4 * middle, middle, 4 * middle)]
            blocks += [Residual(4 * middle, middle, outputs)]
            blocks += [nn.Upsample(scale_factor=2, mode="nearest")] if level else []
        last = nn.Conv2d(4 * width, TEXTURE_CHANNELS, 1)
        self.net = nn.Sequential(*blocks, group_norm(4 * width), nn.ReLU(), last)

    def forward(self, photo: Tensor) -> Tensor:  # [B, 4, H, W] -> [B, 8, H, W]
        check_shape("photo", photo, "B 4 H W")
        return self.net(photo)


class UNet(nn.Module):
    """Four levels of two convolutions, halved by maxima, with skips. Sides: multiples of 8."""

    def __init__(self, inputs: int, outputs: int, width: int = WIDTH) -> None:
        super().__init__()
        w1, w2, w4, w8 = width, 2 * width, 4 * width, 8 * width
        downs = ((inputs, w1, w2), (w2, w2, w4), (w4, w4, w8), (w8, w8, w8))
        ups = ((2 * w8, w8, w4), (2 * w4, w4, w2), (2 * w2, w2, w1))
        self.encoder = nn.ModuleList(nn.Sequential(TwoConvs(*widths)) for widths in downs)
        self.decoder = nn.ModuleList(nn.Sequential(TwoConvs(*widths)) for widths in ups)
        self.to_outputs = nn.Conv2d(width, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:  # [B, inputs, H, W] -> [B, outputs, H, W]
        if x.shape[2] % 8 or x.shape[3] % 8:
            raise ValueError(f"height and width must be multiples of 8, got {list(x.shape[2:])}")
        levels = []
        for block in self.encoder:
            x = block(functional.max_pool2d(x, 2) if levels else x)
            levels.append(x)
        levels.pop()
        for block in self.decoder:
            larger = functional.interpolate(x, scale_factor=2, mode="nearest")
            x = block(torch.cat([larger, levels.pop()], dim=1))
        return self.to_outputs(x)


class OffsetMlp(nn.Module):
    """Latent geometry at a vertex becomes a vector; the fifth layer sees the input again."""

    def __init__(self) -> None:
        super().__init__()
        inputs = GEOMETRY_CHANNELS + 2 * _ENCODED
        self.block_1 = nn.Sequential(*_dense(inputs, 4))
        self.block_2 = nn.Sequential(*_dense(256 + inputs, 4), nn.Linear(256, 3, bias=False))

    def forward(self, x: Tensor) -> Tensor:  # [*, 58] -> [*, 3]
        return self.block_2(torch.cat([x, self.block_1(x)], dim=-1))


class Rome(nn.Module):
    """The networks together, as the published weights name them; theirs are 64 channels wide."""

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        self.autoencoder = Autoencoder(width)
        self.mesh_deformer = UNet(TEXTURE_CHANNELS + 3 * _ENCODED, GEOMETRY_CHANNELS, width)
        self.mlp_deformer = OffsetMlp()
        self.unet = UNet(TEXTURE_CHANNELS + 3 * _ENCODED, 4, width)

    def texture(self, photo: Tensor, matte: Tensor) -> Tensor:  # [B, 3, H, W], [B, 1, H, W]
        """The neural texture [B, 8, H, W] of a portrait."""
        return self.autoencoder(torch.cat([photo, matte], dim=1))

    def geometry(self, texture: Tensor, positions: Tensor) -> Tensor:  # [B, 8 or 3, H, W]
        """Latent geometry [B, 32, H, W] over UV space; `positions` in metres, row 0 first."""
        return self.mesh_deformer(torch.cat([texture, harmonics(5 * positions, dim=1)], dim=1))

    def picture(self, features: Tensor, normals: Tensor) -> tuple[Tensor, Tensor]:
        """Colours [B, 3, H, W] in [0, 1] and the matte's logits [B, 1, H, W].

        `features` [B, 8, H, W] and `normals` [B, 3, H, W] are zero where there is no surface.
        """
        answer = self.unet(torch.cat([features, harmonics(normals, dim=1)], dim=1))
        return torch.sigmoid(answer[:, :3]), answer[:, 3:]


def load_rome(path: Path) -> Rome:
    """The networks in the user's rome.pth, or a refusal that names what does not fit.

    The file may also carry DECA's networks (`parametric_avatar`), which come from their own file,
    and the discriminator of the training; both are left alone.
    """
    content = read_weights(path)
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise InputError(f"{path} is not rome.pth: it holds no networks; give that file")
    with torch.device("meta"):
        rome = Rome()
    rome.to_empty(device="cpu")
    parts = {name: {} for name, _ in rome.named_children()}
    for name, value in content.items():
        part, _, rest = name.partition(".")
        if part in parts:
            parts[part][rest] = value
        elif part not in ("parametric_avatar", "discriminator"):
            raise InputError(
                f"{path} does not fit: {name[:80]} belongs to another variant of ROME; give the "
                "rome.pth that its README links to"
            )
    for part, network in rome.named_children():
        load_strictly(path, network, parts[part], part)
    return rome.eval()


def _dense(inputs: int, layers: int) -> list[nn.Module]:
    widths = [inputs] + [256] * layers
    return [part for a, b in pairwise(widths) for part in (nn.Linear(a, b), nn.ReLU())]
