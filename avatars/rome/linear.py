"""Linear ROME: hair and neck from sixty numbers and a basis, ten times faster to set up."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from avatars import model_files as files
from avatars.flame.model import VERTICES
from avatars.resnet50 import ResNet50
from avatars.weight_files import load_strictly, read_weights
from dnr.errors import InputError

COMPONENTS = 60  # 50 of hair, 10 of the neck


class HairRegressor(ResNet50):
    """A portrait [B, 3, H, W] becomes [B, 60] coefficients."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(2048, COMPONENTS)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(super().forward(x))


class LinearHair(nn.Module):
    """A portrait [B, 3, H, W] becomes offsets [B, V, 3] in metres."""

    mean: Tensor  # [V, 3]
    basis: Tensor  # [60, V, 3]

    def __init__(self, mean: Tensor, basis: Tensor) -> None:
        super().__init__()
        self.regressor = HairRegressor()
        self.register_buffer("mean", mean)
        self.register_buffer("basis", basis)

    def forward(self, portrait: Tensor) -> Tensor:
        return self.mean + torch.tensordot(self.regressor(portrait), self.basis, dims=1)


def load_linear_hair(folder: Path) -> LinearHair:
    """From linear_hair.pth, u_full.pt and mean_deform.pt."""
    mean = _array(files.need_file(files.ROME_MEAN, folder), (VERTICES, 3))
    basis = _array(files.need_file(files.ROME_BASIS, folder), (3 * VERTICES, COMPONENTS))
    model = LinearHair(mean, basis.reshape(VERTICES, 3, COMPONENTS).permute(2, 0, 1).contiguous())
    path = files.need_file(files.ROME_LINEAR, folder)
    load_strictly(path, model.regressor, read_weights(path), "the regressor")
    return model.eval()


def _array(path: Path, shape: tuple[int, ...]) -> Tensor:
    values = read_weights(path)
    if not isinstance(values, Tensor) or values.shape != shape:
        found = list(values.shape) if isinstance(values, Tensor) else type(values).__name__
        raise InputError(f"{path} is {found} instead of {list(shape)}; restore it")
    return values.detach().float()
