"""Where ROME looks: its squares of a photo or frame, and DECA's square inside of them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from avatars.deca.networks import INPUT_SIZE
from dnr.shapes import check_shape

SIZE = 256  # pixels of every picture that ROME works on
SOURCE_MARGIN = 1.25
RIGHT_EYE, LEFT_EYE = slice(36, 42), slice(42, 48)  # of the 68 points; the subject's sides
MOUTH_CORNERS = (48, 54)


class Square(NamedTuple):
    """A turned square of a picture, in its pixels."""

    centre: Tensor  # [2], column and row
    right: Tensor  # [2], from the centre to the middle of the right side
    down: Tensor  # [2]

    def sample(self, image: Tensor) -> Tensor:  # [1, C, H, W] -> [1, C, 256, 256]
        """What is inside; black outside of the picture."""
        steps = (torch.arange(SIZE, device=image.device) + 0.5) * (2 / SIZE) - 1
        grid = self.centre + steps[:, None, None] * self.down + steps[None, :, None] * self.right
        size = grid.new_tensor([image.shape[3], image.shape[2]])
        lookup = (grid * 2 / size - 1).to(image)
        return functional.grid_sample(image, lookup[None], align_corners=False)

    def to_square(self, points: Tensor) -> Tensor:  # [N, 2] pixels -> [N, 2] in [-1, 1]
        """Places inside of the square."""
        axes = torch.stack([self.right, self.down], dim=1)
        return (points - self.centre).to(axes) @ torch.linalg.inv(axes).T


def source_square(points: Tensor) -> Square:  # [68, 2] pixels
    """The square of a portrait: upright in the face, as FFHQ aligns it, and a quarter larger."""
    check_shape("points", points, "68 2")
    right_eye, left_eye = points[RIGHT_EYE].mean(dim=0), points[LEFT_EYE].mean(dim=0)
    mouth = points[list(MOUTH_CORNERS)].mean(dim=0)
    eyes = (right_eye + left_eye) / 2
    across, drop = left_eye - right_eye, mouth - eyes
    right = across + torch.stack([drop[1], -drop[0]])  # the drop, turned a quarter
    length = torch.maximum(2.0 * across.norm(), 1.8 * drop.norm())
    right = functional.normalize(right, dim=0) * length * SOURCE_MARGIN
    return Square(eyes + 0.1 * drop, right, torch.stack([-right[1], right[0]]))


def driver_square(points: Tensor) -> Square:  # [68, 2] pixels
    """The upright square of a driving frame: twice the face, a little above its middle."""
    check_shape("points", points, "68 2")
    low, high = points.amin(dim=0), points.amax(dim=0)
    half = (high - low).amax()
    centre = (low + high) / 2 - torch.stack([0 * half, half / 6])
    zero = torch.zeros_like(half)
    return Square(centre, torch.stack([half, zero]), torch.stack([zero, half]))


class FaceBox(NamedTuple):
    """DECA's square inside of a picture, in units of the picture's side."""

    left: Tensor  # [B]
    top: Tensor  # [B]
    side: Tensor  # [B]


def face_box(points: Tensor) -> FaceBox:  # [B, L, 2] in [-1, 1]
    """Around all points, with DECA's margins."""
    unit = (points + 1) / 2
    low, high = unit.amin(dim=1), unit.amax(dim=1)
    side = (high - low).mean(dim=1) * 1.1 * 1.25
    corner = (low + high) / 2 - side[:, None] / 2
    return FaceBox(corner[:, 0], corner[:, 1], side)


def face_crop(picture: Tensor, box: FaceBox) -> Tensor:  # [B, 3, H, W] -> [B, 3, 224, 224]
    """What DECA's encoder is shown."""
    steps = torch.linspace(0, 1, INPUT_SIZE, device=picture.device, dtype=picture.dtype)
    x = (box.left[:, None] + box.side[:, None] * steps) * 2 - 1
    y = (box.top[:, None] + box.side[:, None] * steps) * 2 - 1
    columns = x[:, None, :].expand(-1, INPUT_SIZE, -1)
    rows = y[:, :, None].expand(-1, -1, INPUT_SIZE)
    lookup = torch.stack([columns, rows], dim=-1).to(picture)
    return functional.grid_sample(picture, lookup, align_corners=False)


def uncropped(camera: Tensor, box: FaceBox) -> Tensor:  # [B, 3] -> [B, 3]
    """The camera of the whole picture, from that of the crop: same points, other square."""
    scale = camera[:, 0] * box.side
    across = camera[:, 1] + 1 / camera[:, 0] + (2 * box.left - 1) / scale
    up = camera[:, 2] - 1 / camera[:, 0] - (2 * box.top - 1) / scale
    return torch.stack([scale, across, up], dim=1)
