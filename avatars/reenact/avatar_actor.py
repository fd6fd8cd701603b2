"""A trained avatar as an actor: its pictures, back in the frame they were cut from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from avatars.avatar.files import SavedAvatar, load_avatar
from avatars.film.provenance import file_hash
from avatars.reenact.actor import Actor
from avatars.reenact.backdrop import TRANSPARENT, backdrop
from avatars.stage.square import Square
from avatars.transfer.performance import Frame
from avatars.transfer.transfer import Person

_CLEAR = 0.05
"""Less alpha than this is a haze that layers have before training, and nothing."""


@dataclass(frozen=True)
class Set:
    """What stands still around and behind the person, float32 in [0, 1]."""

    square: Square
    around: np.ndarray  # [H, W, 3], the person at rest in front of the background
    behind: np.ndarray  # [side, side, 3], the background in the square
    soft: np.ndarray  # [side, side, 3], the same as the avatar's pictures resolve it


def avatar_actor(run: Path, device: torch.device, background: str) -> Actor:
    """The avatar in a run folder, in front of `background` (see backdrop.py)."""
    saved = load_avatar(run, device)
    frame = saved.around.square.frame
    avatar, cut_out = saved.avatar, background == TRANSPARENT
    return Actor(
        Person(avatar.head, avatar.identity, saved.rest, saved.limits),
        frame,
        cut_outs(saved) if cut_out else pictures(saved, backdrop(background, frame)),
        {
            "name": run.resolve().name,
            "sha256": file_hash(run / "asset.json", run / "weights.safetensors"),
            "consent": str(saved.about.get("consent", "not recorded")),
        },
    )


def pictures(
    saved: SavedAvatar,
    background: np.ndarray | None,  # uint8 [H, W, 3]; None: what was filmed
) -> Callable[[Frame], np.ndarray]:
    """A function from frames to whole pictures, uint8 [H, W, 3]."""
    scene = make_set(saved, background)
    plate = None
    if background is not None:
        small = scene.square.cut(background.astype(np.float32) / 255)
        plate = torch.from_numpy(small).permute(2, 0, 1).to(saved.avatar.device)

    def picture(frame: Frame) -> np.ndarray:
        made = saved.avatar.render(frame, plate)
        return composed(scene, made.image, made.alpha)

    return picture


def cut_outs(saved: SavedAvatar) -> Callable[[Frame], np.ndarray]:
    """A function from frames to pictures of the person alone, uint8 [H, W, 4], alpha last."""
    square = saved.around.square
    still = saved.around.still.astype(np.float32) / 255
    around = np.concatenate([still[..., :3] * still[..., 3:], still[..., 3:]], axis=2)

    def picture(frame: Frame) -> np.ndarray:
        made = saved.avatar.render(frame)
        # Colour times alpha is what may be mixed; colour alone would let in what is behind.
        person = torch.cat([made.colour.clamp(0, 1) * made.alpha, made.alpha], dim=1)
        whole = square.placed(square.enlarged(_pixels(person)), around).clip(0, 1)
        alpha = whole[..., 3:]
        straight = np.concatenate([whole[..., :3] / np.maximum(alpha, _CLEAR), alpha], axis=2)
        return np.round(255 * np.where(alpha < _CLEAR, 0, straight.clip(0, 1))).astype(np.uint8)

    return picture


def make_set(saved: SavedAvatar, background: np.ndarray | None) -> Set:
    """The set with the avatar's own background, or another."""
    around, square = saved.around, saved.around.square
    plate = (around.plate if background is None else background).astype(np.float32) / 255
    person = around.still[..., 3:].astype(np.float32) / 255
    still = around.still[..., :3].astype(np.float32) / 255
    whole = still if background is None else plate + person * (still - plate)
    rows = slice(square.top, square.top + square.side)
    behind = plate[rows, square.left : square.left + square.side]
    return Set(square, whole, behind, square.enlarged(square.cut(plate)))


def composed(scene: Set, image: Tensor, alpha: Tensor) -> np.ndarray:  # [1, 3 or 1, S, S]
    """The avatar's square in its frame. Behind the person the background keeps its own detail."""
    square = scene.square
    large = square.enlarged(_pixels(torch.cat([image, alpha], dim=1)))
    inside = large[..., :3] + (1 - large[..., 3:]) * (scene.behind - scene.soft)
    whole = square.placed(inside, scene.around)
    return np.round(255 * np.clip(whole, 0, 1)).astype(np.uint8)


def _pixels(image: Tensor) -> np.ndarray:  # [1, C, S, S] -> float32 [S, S, C]
    return np.ascontiguousarray(image[0].float().permute(1, 2, 0).cpu().numpy())
