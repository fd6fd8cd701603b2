"""Flat layers behind the mesh, for what has no mesh: hair and what is in it, neck and shoulders.

Each is a picture with its own alpha, where it was never seen transparent, and some features. The
head's follows the head, the torso's a learned share of the neck's motion on the screen.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from avatars.avatar.lens import Lens, pixel_centres
from dnr.geometry.cameras import Camera

FEATURES = 4
PIN = (0.0, 0.2, -0.4)
"""The point of the head frame that the head's layer is pinned to, in distances between the outer
corners of the eyes. How far back is best differs from clip to clip: see training/placing.py."""
CHIN, BLEND = 1.65, 0.65
"""How far below the pin the head's layer ends, and over what it fades, in the same unit."""
SHARE = 0.5
"""Of the neck's motion that the torso follows before training."""
MARGIN = 1.25
"""Of the torso's canvas over the picture: room to move."""


class Seen(NamedTuple):
    """A layer as it appears in a picture."""

    colour: Tensor  # [B, 3, S, S]
    alpha: Tensor  # [B, 1, S, S]
    features: Tensor  # [B, F, S, S]


class Layer(nn.Module):
    """One canvas, looked up in coordinates from -1 to 1."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.colour = nn.Parameter(torch.full((1, 3, size, size), 0.5))
        self.logit = nn.Parameter(torch.full((1, 1, size, size), -4.0))
        self.features = nn.Parameter(torch.zeros(1, FEATURES, size, size))

    def forward(self, places: Tensor) -> Seen:  # [B, S, S, 2]
        canvas = torch.cat([self.colour, self.logit, self.features], dim=1)
        canvas = canvas.expand(len(places), -1, -1, -1)
        found = functional.grid_sample(canvas, places, padding_mode="border", align_corners=False)
        inside = (places.abs() < 1).all(dim=-1)[:, None]
        return Seen(found[:, :3], found[:, 3:4].sigmoid() * inside, found[:, 4:])

    @torch.no_grad()
    def paint(self, colour: Tensor, alpha: Tensor) -> None:  # [3, S, S], [1, S, S]
        """Start from a picture."""
        self.colour.copy_(colour[None])
        self.logit.copy_(alpha.clamp(0.02, 0.98).logit()[None])


class Pinned(NamedTuple):
    """How the head's canvas lies in a picture."""

    anchor: Tensor  # [B, 2] pixels
    axes: Tensor  # [B, 2, 2], rows: to the canvas's right, and down
    per_metre: Tensor  # [B] pixels


def head_places(
    camera: Camera, pixels: Tensor, pin: Tensor, half_m: float
) -> Tensor:  # [S, S, 2], [3]
    """Where each pixel lies on the head's canvas, which is 2 * half_m wide: [B, S, S, 2]."""
    pinned = _pinned(camera, pin)
    away = pixels[None] - pinned.anchor[:, None, None]
    scale = (pinned.per_metre * half_m)[:, None, None, None]
    return (away @ pinned.axes[:, None].transpose(2, 3)) / scale


def head_pixels(
    camera: Camera, places: Tensor, pin: Tensor, half_m: float
) -> Tensor:  # [S, S, 2], [3]
    """The inverse: pixels where places on the canvas are seen, [B, S, S, 2]."""
    pinned = _pinned(camera, pin)
    away = places[None] @ pinned.axes[:, None] * (pinned.per_metre * half_m)[:, None, None, None]
    return pinned.anchor[:, None, None] + away


def layer_shares(
    camera: Camera, lens: Lens, pin: Tensor, eyes_m: float
) -> tuple[Tensor, Tensor]:  # [S, S] each
    """For one view, where head's and torso's layer are in charge, 0 to 1. They overlap: the torso,
    which is behind, is all there before the head begins to fade."""
    pixels = pixel_centres(lens.size, camera.world_to_camera)
    below = head_places(camera, pixels, pin, eyes_m)[0, ..., 1] - CHIN
    return (0.5 - below / BLEND).clamp(0, 1), (1.5 + below / BLEND).clamp(0, 1)


def _pinned(camera: Camera, pin: Tensor) -> Pinned:
    above = pin + pin.new_tensor([0.0, 0.05, 0.0])
    on_screen = camera.project(torch.stack([pin, above]))  # [B, 2, 3]
    anchor, depth = on_screen[:, 0, :2], on_screen[:, 0, 2]
    down = functional.normalize(anchor - on_screen[:, 1, :2], dim=-1)
    across = torch.stack([down[:, 1], -down[:, 0]], dim=-1)
    return Pinned(anchor, torch.stack([across, down], dim=1), camera.intrinsics[:, 0, 0] / depth)


def torso_places(pixels: Tensor, moved: Tensor, share: Tensor) -> Tensor:  # [S, S, 2], [B, 2], []
    """Where each pixel of the steady picture lies on the torso's canvas: [B, S, S, 2].

    `moved` is how far the neck is from its place at rest, in pixels.
    """
    size = pixels.shape[0]
    steady = pixels[None] - share * moved[:, None, None]
    return (2 * steady / size - 1) / MARGIN
