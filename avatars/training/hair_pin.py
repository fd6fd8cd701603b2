"""How far back in the head the hair's layer turns with it, found by what lines frames up best."""

from __future__ import annotations

import torch
from torch import Tensor

from avatars.avatar.avatar import Avatar
from avatars.avatar.layers import PIN, head_pixels, layer_shares
from avatars.avatar.lens import camera_of, sampled
from avatars.training.clip import Clip, spread_frames
from avatars.transfer.openings import eye_distance
from dnr.images import tensor_from_images

DEPTHS = (0.0, -0.2, -0.4, -0.6, -0.8, -1.0)
"""In distances between the eyes' outer corners. A head that truly turns wants its hair pinned far
back; where turns are mostly noise of the tracking, what is far back trembles."""
FRAMES, SIDE = 40, 64


@torch.no_grad()
def hair_pin(avatar: Avatar, clip: Clip) -> Tensor:  # [3] metres in the head frame
    """The pin for which hair differs least from frame to frame on the head's canvas."""
    eyes_m = float(eye_distance(avatar.head, avatar.identity))
    pins = [torch.tensor([PIN[0], PIN[1], depth]) * eyes_m for depth in DEPTHS]
    sums = [torch.zeros(3, 4, SIDE, SIDE) for _ in pins]  # weight, values, squares
    canvas = canvas_places(SIDE)
    for index in spread_frames(clip, FRAMES):
        frame = clip.performance.frame(index)
        camera = camera_of(avatar.config.lens, frame.pose)
        photo = tensor_from_images(clip.frames[index])[0]
        mask = torch.from_numpy(clip.masks[index] / 255).float()[None]
        beside = ~avatar.look(frame).hit  # on the mesh the texture is in charge
        for pin, total in zip(pins, sums, strict=True):
            at = head_pixels(camera, canvas, pin, avatar.config.half_m)[0]
            own, _ = layer_shares(camera, avatar.config.lens, pin, eyes_m)
            inside = ((at >= 0) & (at <= avatar.config.lens.size)).all(dim=-1)
            seen = sampled(torch.cat([photo * mask, mask, (own * beside)[None]]), at)
            weight = seen[4:] * inside
            total += torch.stack(
                [weight.expand(4, -1, -1), weight * seen[:4], weight * seen[:4] ** 2]
            )
    return pins[min(range(len(pins)), key=lambda which: _spread(sums[which]))]


def canvas_places(size: int) -> Tensor:  # [S, S, 2]
    """The centres of a canvas's pixels, from -1 to 1."""
    line = (torch.arange(size) + 0.5) / size * 2 - 1
    row, column = torch.meshgrid(line, line, indexing="ij")
    return torch.stack([column, row], dim=-1)


def _spread(total: Tensor) -> float:  # [3, 4, S, S]
    """Mean variance over frames where a fair share of them shows something."""
    weight, values, squares = total
    mean = values / weight.clamp(min=1e-6)
    variance = (squares / weight.clamp(min=1e-6) - mean**2).clamp(min=0)
    often = weight > 0.2 * weight.max()
    return float((variance * weight * often).sum() / (weight * often).sum().clamp(min=1e-6))
