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
from avatars.reenact.backdrop import backdrop
from avatars.stage.square import Square
from avatars.transfer.performance import Frame
from avatars.transfer.transfer import Person


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
    avatar = saved.avatar
    return Actor(
        Person(avatar.head, avatar.identity, saved.rest, saved.limits),
        frame,
        pictures(saved, backdrop(background, frame)),
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
    both = torch.cat([image, alpha], dim=1)[0].float().permute(1, 2, 0).cpu().numpy()
    large = square.enlarged(np.ascontiguousarray(both))
    inside = large[..., :3] + (1 - large[..., 3:]) * (scene.behind - scene.soft)
    whole = square.placed(inside, scene.around)
    return np.round(255 * np.clip(whole, 0, 1)).astype(np.uint8)
