"""How an avatar is looked at: its camera, and the same view shifted, rolled and zoomed."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from dnr.geometry.cameras import Camera


class Lens(NamedTuple):
    """A square picture through a pinhole, in its own pixels."""

    focal: float
    centre: tuple[float, float]  # column and row of the optical axis
    size: int


class Jitter(NamedTuple):
    """A change of the view for training: everything in the picture moves together.

    A pixel at p, seen from the optical axis, moves to zoom * turned(p, roll) + shift.
    """

    zoom: float = 1.0
    roll: float = 0.0  # radians, clockwise on the screen
    shift: tuple[float, float] = (0.0, 0.0)  # pixels


STILL = Jitter()


def camera_of(lens: Lens, pose: Tensor, jitter: Jitter = STILL) -> Camera:  # [T, 3, 4]
    """Cameras that see the head frame."""
    turn = _turn(jitter.roll).to(pose)
    world_to_camera = torch.eye(4).to(pose).repeat(len(pose), 1, 1)
    world_to_camera[:, :2] = turn @ pose[:, :2]
    world_to_camera[:, 2] = pose[:, 2]
    intrinsics = torch.eye(3).to(pose)
    intrinsics[0, 0] = intrinsics[1, 1] = jitter.zoom * lens.focal
    intrinsics[:2, 2] = pose.new_tensor(lens.centre) + pose.new_tensor(jitter.shift)
    return Camera(world_to_camera, intrinsics.repeat(len(pose), 1, 1), (lens.size, lens.size))


def steady_pixels(lens: Lens, jitter: Jitter, like: Tensor) -> Tensor:  # [S, S, 2]
    """For every pixel of the jittered picture its place, column and row, in the steady one."""
    pixels = pixel_centres(lens.size, like)
    if jitter == STILL:
        return pixels
    centre, shift = like.new_tensor(lens.centre), like.new_tensor(jitter.shift)
    back = _turn(jitter.roll).to(like).T / jitter.zoom
    return (pixels - centre - shift) @ back.T + centre


def pixel_centres(size: int, like: Tensor) -> Tensor:  # [S, S, 2]
    """Column and row of every pixel's centre."""
    line = torch.arange(size).to(like) + 0.5
    row, column = torch.meshgrid(line, line, indexing="ij")
    return torch.stack([column, row], dim=-1)


def sampled(image: Tensor, places: Tensor) -> Tensor:  # [C, H, W], [S, S, 2] -> [C, S, S]
    """The image at `places`, pixels of its own; beyond its border the border repeats."""
    size = places.new_tensor([image.shape[2], image.shape[1]])
    grid = 2 * places / size - 1
    return functional.grid_sample(
        image[None], grid[None], padding_mode="border", align_corners=False
    )[0]


def _turn(roll: float) -> Tensor:  # [2, 2]
    cosine, sine = math.cos(roll), math.sin(roll)
    return torch.tensor([[cosine, -sine], [sine, cosine]])
