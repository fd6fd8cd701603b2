"""How the flat layers move with the head, found by what lines a clip's frames up best."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from avatars.avatar.avatar import Avatar
from avatars.avatar.layers import MARGIN, PIN, head_pixels, layer_shares
from avatars.avatar.lens import camera_of, sampled
from avatars.training.clip import Clip, spread_frames
from avatars.transfer.openings import eye_distance
from dnr.geometry.cameras import Camera
from dnr.images import tensor_from_images

DEPTHS = (0.0, -0.2, -0.4, -0.6, -0.8, -1.0)
"""Of the hair's pin, in distances between the eyes' outer corners. A head that truly turns wants
its hair pinned far back; where turns are mostly noise of the tracking, what is far back shakes."""
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Of the neck's motion that the torso follows; all of it where the camera moves or people walk."""
FRAMES, SIDE = 40, 64


class Look(NamedTuple):
    """One frame, and where the layers are in charge of it."""

    camera: Camera
    values: Tensor  # [4, S, S] colour times mask, and mask
    hair: Tensor  # [S, S]
    torso: Tensor  # [S, S]
    neck_moved: Tensor  # [2] pixels


@torch.no_grad()
def place_layers(avatar: Avatar, clip: Clip) -> None:
    """Set the avatar's pin of the hair and share of the torso."""
    eyes_m = float(eye_distance(avatar.head, avatar.identity))
    pins = [torch.tensor([PIN[0], PIN[1], depth]) * eyes_m for depth in DEPTHS]
    canvas, size = canvas_places(SIDE), clip.lens.size
    hair = [torch.zeros(3, 4, SIDE, SIDE) for _ in pins]  # weights, values, squares
    torso = [torch.zeros(3, 4, SIDE, SIDE) for _ in SHARES]
    for look in _looks(avatar, clip, eyes_m):
        for pin, total in zip(pins, hair, strict=True):
            at = head_pixels(look.camera, canvas, pin, avatar.config.half_m)[0]
            _collect(total, at, look.values, look.hair)
        for share, total in zip(SHARES, torso, strict=True):
            at = (canvas * MARGIN + 1) / 2 * size + share * look.neck_moved
            _collect(total, at, look.values, look.torso)
    avatar.pin.copy_(pins[_steadiest(hair)])
    avatar.share.fill_(SHARES[_steadiest(torso)])


def canvas_places(size: int) -> Tensor:  # [S, S, 2]
    """The centres of a canvas's pixels, from -1 to 1."""
    line = (torch.arange(size) + 0.5) / size * 2 - 1
    row, column = torch.meshgrid(line, line, indexing="ij")
    return torch.stack([column, row], dim=-1)


def _looks(avatar: Avatar, clip: Clip, eyes_m: float) -> Iterator[Look]:
    middle = torch.tensor([PIN[0], PIN[1], DEPTHS[len(DEPTHS) // 2]]) * eyes_m
    for index in spread_frames(clip, FRAMES):
        frame = clip.performance.frame(index)
        camera = camera_of(avatar.config.lens, frame.pose)
        mask = torch.from_numpy(clip.masks[index] / 255).float()[None]
        photo = tensor_from_images(clip.frames[index])[0]
        beside = ~avatar.look(frame).hit  # on the mesh the texture is in charge
        hair, torso = layer_shares(camera, avatar.config.lens, middle, eyes_m)
        yield Look(
            camera,
            torch.cat([photo * mask, mask]),
            hair * beside,
            torso * beside,
            avatar.neck_moved(frame)[0],
        )


def _collect(total: Tensor, at: Tensor, values: Tensor, weight: Tensor) -> None:
    """Add a frame, seen at pixels `at` [S, S, 2] of it, to weights, values and squares."""
    inside = ((at >= 0) & (at <= values.shape[-1])).all(dim=-1)
    seen = sampled(torch.cat([values, weight[None]]), at)
    share, seen = seen[4:] * inside, seen[:4]
    total += share * torch.stack([torch.ones_like(seen), seen, seen**2])


def _steadiest(totals: list[Tensor]) -> int:
    return min(range(len(totals)), key=lambda which: _spread(totals[which]))


def _spread(total: Tensor) -> float:  # [3, 4, S, S]
    """Mean variance over frames where a fair share of them shows something."""
    weight, values, squares = total
    mean = values / weight.clamp(min=1e-6)
    variance = (squares / weight.clamp(min=1e-6) - mean**2).clamp(min=0)
    often = weight > 0.2 * weight.max()
    return float((variance * weight * often).sum() / (weight * often).sum().clamp(min=1e-6))
