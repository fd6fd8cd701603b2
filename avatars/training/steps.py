"""One gradient step of an avatar."""

from __future__ import annotations

import math

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from avatars.avatar.avatar import Picture
from avatars.avatar.lens import Jitter, Lens
from avatars.training.boxes import box_mask
from avatars.training.clip import Clip
from avatars.training.state import AvatarState
from dnr.images import tensor_from_images
from dnr.textures.pyramid import COLOURS

PERSON, MOUTH, EYES = 0.7, 2.0, 1.5
"""How much more than background an error counts there."""
EDGES, MASK, DRAFT = 0.5, 0.2, 0.3
"""Weights of the errors of gradients, of alpha against the mask, and of the picture before the
network, beside that of colours."""
SHIFT, ROLL, ZOOM = 0.04, math.radians(5), 0.04
"""Spread of the jitter: of the picture's side, radians, share."""
CODE_NOISE = 0.1
BLIND, BLIND_SIZE = 0.3, 0.2
"""How often, and in how much of the picture's side, texture features are withheld, so that the
network can do with colour alone where features were never trained."""
LEAK = 0.05
"""Slope of the loss beyond black and white, where pictures clip."""


def step(state: AvatarState, clip: Clip, seed: int) -> float:
    """Move all weights once, and return the loss.

    Frame and jitter depend on seed and step only, so a resumed run sees what an uninterrupted one
    sees.
    """
    rng = np.random.default_rng([seed, 1, state.step])
    index = _frame_index(clip, seed, state.step)
    jitter = _jitter(clip.lens, rng)
    avatar = state.avatar
    frame = clip.performance.frame(index)
    view = avatar.look(frame, jitter)
    points = view.points
    static = avatar.texture.look_up(points.uv, points.footprint)
    seeing = _seeing(view.hit, rng)
    static.requires_grad_()
    fed = torch.cat([static[:, :COLOURS], static[:, COLOURS:] * seeing], dim=1)
    code = avatar.code(frame.motion)
    code = code + CODE_NOISE * torch.from_numpy(rng.standard_normal(code.shape)).to(code)
    picture = avatar(view, fed, code)
    loss = _loss(state, picture, *_targets(clip, index, jitter, picture.plate))
    factor = state.rate_factor()
    for group in state.adam.param_groups:
        group["lr"] = group["rate"] * factor
    state.adam.zero_grad()
    loss.backward()
    state.adam.step()
    assert static.grad is not None
    for adam in state.texture_adams:
        adam.step(points.uv, points.footprint, static.grad, factor)
    state.step += 1
    state.update_average()
    return loss.item()


def _frame_index(clip: Clip, seed: int, step: int) -> int:
    """Every measured frame once, in random order, then again in another."""
    found = clip.performance.found.nonzero()[:, 0].numpy()
    round_, place = divmod(step, len(found))
    return int(np.random.default_rng([seed, 2, round_]).permutation(found)[place])


def _jitter(lens: Lens, rng: np.random.Generator) -> Jitter:
    column, row, roll, zoom = np.clip(rng.standard_normal(4), -2, 2) / 2
    shift = (SHIFT * lens.size * column, SHIFT * lens.size * row)
    return Jitter(1 + ZOOM * zoom, ROLL * roll, shift)


def _seeing(hit: Tensor, rng: np.random.Generator) -> Tensor:  # [S, S] -> [N, 1]
    """1 for the points whose features are given, 0 inside a disc, if there is one in this step."""
    size = hit.shape[0]
    seeing = np.ones(hit.shape, np.float32)
    if rng.random() < BLIND:
        centre = tuple(int(value) for value in rng.integers(0, size, 2))
        cv2.circle(seeing, centre, int(size * BLIND_SIZE * rng.random()), 0, -1)
    return torch.from_numpy(seeing).to(hit.device)[hit][:, None]


def _targets(
    clip: Clip, index: int, jitter: Jitter, like: Tensor
) -> tuple[Tensor, Tensor, Tensor]:  # photo [1, 3, S, S], mask and weight [1, 1, S, S]
    size = clip.lens.size
    mask = clip.masks[index].astype(np.float32) / 255
    points = clip.landmarks[index]
    mouth, eyes = box_mask(points, size, "mouth"), box_mask(points, size, "eyes")
    weight = 1 + PERSON * mask + MOUTH * mouth + EYES * eyes
    both = np.dstack([mask, weight, np.ones_like(mask)]).astype(np.float32)
    transform = _forward(clip.lens, jitter)
    photo = cv2.warpAffine(
        clip.frames[index], transform, (size, size), flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    moved = cv2.warpAffine(both, transform, (size, size), flags=cv2.INTER_LINEAR)
    inside = torch.from_numpy(moved[..., 2] > 0.99).to(like)[None, None]
    mask, weight = (torch.from_numpy(moved[..., i]).to(like)[None, None] for i in (0, 1))
    return tensor_from_images(photo, like), mask, weight * inside


def _forward(lens: Lens, jitter: Jitter) -> np.ndarray:  # [2, 3]
    """Steady to jittered pixels, for OpenCV, whose pixel centres are whole numbers."""
    cosine, sine = jitter.zoom * math.cos(jitter.roll), jitter.zoom * math.sin(jitter.roll)
    turn = np.array([[cosine, -sine], [sine, cosine]])
    centre, half = np.array(lens.centre), 0.5
    offset = centre + jitter.shift - turn @ centre
    return np.column_stack([turn, offset + turn @ [half, half] - half])


def _loss(
    state: AvatarState, picture: Picture, photo: Tensor, mask: Tensor, weight: Tensor
) -> Tensor:
    image = picture.image
    shown = image.clamp(0, 1) * (1 - LEAK) + LEAK * image
    area = weight.sum().clamp(min=1)
    loss = (weight * (shown - photo).abs()).sum() / area / 3
    for axis in (2, 3):
        change = (shown - photo).diff(dim=axis).abs()
        narrow = weight.narrow(axis, 1, change.shape[axis])
        loss = loss + EDGES * (narrow * change).sum() / area / 3
    loss = loss + MASK * (weight * (picture.alpha - mask).abs()).sum() / area
    loss = loss + DRAFT * (weight * (picture.draft - photo).abs()).sum() / area / 3
    draft_mask = functional.l1_loss(picture.draft_alpha, mask)
    loss = loss + MASK * draft_mask
    if state.extra_losses is not None:
        inside = weight > 0
        loss = loss + state.extra_losses(shown * inside, photo * inside)
    return loss
