"""A toy person for the tests: the shipped head with a painted skin, filmed in small pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from avatars.avatar.avatar import Avatar, AvatarConfig
from avatars.avatar.files import SavedAvatar, Surroundings, save_avatar
from avatars.avatar.lens import Lens
from avatars.heads.files import load_head
from avatars.heads.head import Head, Motion, head_vertices, landmark_points
from avatars.heads.rotations import rotation_matrices
from avatars.stage.square import Square
from avatars.training.clip import Clip
from avatars.training.start import half_width_m, start_avatar
from avatars.transfer.limits import limits
from avatars.transfer.neutral import FACING, Neutral, neck_places, neutral
from avatars.transfer.performance import Performance
from dnr.images import images_from_tensor
from dnr.textures.pyramid import TextureConfig

SIZE, FRAMES = 64, 24
LENS = Lens(1.8 * SIZE, (SIZE / 2, SIZE / 2), SIZE)
SQUARE = Square(0, 0, SIZE, SIZE, (SIZE, SIZE))


def toy_config(**changes: object) -> AvatarConfig:
    texture = TextureConfig(size=32, channels=8, levels=2, colour_size=64)
    values: dict[str, object] = {"half_m": 0.2, "canvas": 32, "moving_size": 16}
    values |= {"moving_channels": 4, "widths": (8, 12)} | changes
    return AvatarConfig(LENS, texture, **values)  # type: ignore[arg-type]


def toy_performance(head: Head, frames: int = FRAMES, seed: int = 0) -> Performance:
    """Talks, blinks, looks about and nods, half a metre from the camera."""
    generator = torch.Generator().manual_seed(seed)
    time = torch.arange(frames) / 25
    expression = torch.zeros(frames, len(head.expression))
    expression[:, head.names("jawOpen")[0]] = 0.4 * torch.sin(5 * time + seed) ** 2
    for name in ("eyeBlinkLeft", "eyeBlinkRight"):
        expression[:, head.names(name)[0]] = 0.6 * (torch.arange(frames) % 12 < 3)
    gaze = 0.15 * torch.sin(4 * time)[:, None, None].expand(-1, 2, 2)
    turns = torch.stack([0.05 * torch.sin(3 * time), 0.2 * torch.sin(2 * time), 0 * time], dim=1)
    places = torch.tensor([0.0, 0.0, 0.42]).repeat(frames, 1)
    places[:, 0] = 0.01 * torch.sin(2 * time)
    pose = torch.cat([rotation_matrices(turns) @ FACING, places[:, :, None]], dim=2)
    identity = 0.5 * torch.randn(len(head.identity), generator=generator)
    motion = Motion(expression, gaze, torch.zeros(frames, 3))
    found = torch.ones(frames, dtype=torch.bool)
    return Performance(head.name, identity, motion, pose, time.double(), 25.0, found)


def toy_clip(seed: int = 0, frames: int = FRAMES) -> tuple[Clip, np.ndarray]:
    """What a camera sees of the toy person, who darkens when talking; and the plate behind it."""
    head = load_head()
    performance = toy_performance(head, frames, seed)
    generator = torch.Generator().manual_seed(seed)
    plate = torch.tensor([0.2, 0.5, 0.7])[:, None, None].expand(3, SIZE, SIZE).clone()
    person = Avatar(toy_config(has_layers=False), head, plate)
    with torch.no_grad():
        person.identity.copy_(performance.identity)
        for level in person.texture.colour_levels():
            level.copy_(0.2 * torch.rand(level.shape, generator=generator) + 0.1)
    pictures, masks, points = [], [], []
    for index in range(frames):
        frame = performance.frame(index)
        picture = person.render(frame)
        flush = 1 - 0.6 * float(frame.motion.expression[0, head.names("jawOpen")[0]])
        pictures.append(
            images_from_tensor(picture._replace(colour=flush * picture.colour).image)[0]
        )
        masks.append((255 * picture.alpha[0, 0]).round().byte().numpy())
        vertices = head_vertices(head, performance.identity, frame.motion)
        local = landmark_points(head, vertices) @ frame.pose[0, :, :3].T + frame.pose[0, :, 3]
        points.append((LENS.focal * local[0, :, :2] / local[0, :, 2:] + SIZE / 2).numpy())
    clip = Clip(np.stack(pictures), np.stack(masks), np.stack(points), performance, SQUARE, LENS)
    return clip, images_from_tensor(plate[None])[0]


def toy_start(clip: Clip, plate: np.ndarray, **changes: object) -> tuple[Avatar, Neutral]:
    head = load_head()
    rest = neutral(head, clip.performance)
    config = toy_config(half_m=half_width_m(clip), **changes)
    return start_avatar(config, head, clip, rest, plate), rest


def toy_saved(avatar: Avatar, rest: Neutral, clip: Clip, plate: np.ndarray) -> SavedAvatar:
    still = np.dstack([clip.frames[0], clip.masks[0]])
    places = neck_places(avatar.head, clip.performance)
    ends = limits(clip.performance, rest, places)
    around = Surroundings(clip.square, still, plate)
    return SavedAvatar(avatar, rest, ends, around, {"consent": "a toy"})


def toy_run(folder: Path, **changes: object) -> Path:
    """The run folder of an avatar."""
    clip, plate = toy_clip()
    avatar, rest = toy_start(clip, plate, **changes)
    save_avatar(folder, toy_saved(avatar, rest, clip, plate))
    return folder
