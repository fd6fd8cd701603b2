"""DECA's crop of a photo and its weak-perspective camera."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from avatars.deca.networks import INPUT_SIZE
from dnr.shapes import check_shape

CROP_SCALE = 1.25
LANDMARK_BOX_SCALE = 1.1  # the box around 68 points lacks the forehead


def crop_box(landmarks: Tensor) -> Tensor:  # [B, L, 2] pixels -> [B, 3]
    """Column and row of the centre, and the side, of the square that DECA looks at."""
    check_shape("landmarks", landmarks, "B L 2")
    low, high = landmarks.amin(dim=1), landmarks.amax(dim=1)
    side = (high - low).mean(dim=1) * LANDMARK_BOX_SCALE * CROP_SCALE
    return torch.cat([(low + high) / 2, side.floor()[:, None]], dim=1)


def crop(image: Tensor, box: Tensor) -> Tensor:  # [B, 3, H, W], [B, 3] -> [B, 3, 224, 224]
    """The square, resampled; black outside of the photo.

    As published, the corners of the box are the centres of the corner pixels, 0 and 223.
    """
    check_shape("image", image, "B 3 H W")
    steps = torch.linspace(-0.5, 0.5, INPUT_SIZE, device=image.device, dtype=image.dtype)
    x = (box[:, 0, None] + box[:, 2, None] * steps) * 2 / image.shape[3] - 1
    y = (box[:, 1, None] + box[:, 2, None] * steps) * 2 / image.shape[2] - 1
    columns = x[:, None, :].expand(-1, INPUT_SIZE, -1)
    rows = y[:, :, None].expand(-1, -1, INPUT_SIZE)
    lookup = torch.stack([columns, rows], dim=-1).to(image)
    return functional.grid_sample(image, lookup, align_corners=False)


def project(points: Tensor, camera: Tensor) -> Tensor:  # [B, N, 3], [B, 3] -> [B, N, 3]
    """Column and row in [-1, 1] over the crop, row downwards, and a depth away from the viewer.

    `camera` is scale and shift: the head is shifted, then scaled, and seen from infinitely far.
    """
    check_shape("camera", camera, f"{len(points)} 3")
    shifted = points + functional.pad(camera[:, None, 1:], (0, 1))
    flip = points.new_tensor([1.0, -1.0, -1.0])
    return camera[:, None, :1] * shifted * flip


def to_photo(projected: Tensor, box: Tensor) -> Tensor:  # [B, N, 2 or 3], [B, 3] -> [B, N, 2]
    """Pixels of the photo, of points in the crop's [-1, 1]."""
    pixel = (projected[..., :2] + 1) * (INPUT_SIZE / 2)  # as published, see `crop`
    return box[:, None, :2] + box[:, None, 2:] * (pixel / (INPUT_SIZE - 1) - 0.5)
