"""The avatar before the first step: mean texture, mean layers and plate, usable at once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from avatars.avatar.avatar import Avatar, AvatarConfig
from avatars.avatar.layers import MARGIN, head_pixels, layer_shares
from avatars.avatar.lens import camera_of, sampled
from avatars.avatar.mirror import mirrored_uv
from avatars.heads.head import Head
from avatars.stage.plate import filled
from avatars.training.clip import Clip, spread_frames
from avatars.training.placing import canvas_places, place_layers
from avatars.transfer.neutral import Neutral
from avatars.transfer.openings import eye_distance
from dnr.images import tensor_from_images
from dnr.textures.projection import SeenPixels, mean_colours, paint_pyramid
from dnr.textures.pyramid import COLOURS

TEXTURE_FRAMES, LAYER_FRAMES = 150, 80
MIRROR_WEIGHT = 1e-2
"""What the other side of the face says about a texel, beside what was seen of it: next to nothing,
but all there is where nothing was seen."""


def start_avatar(
    config: AvatarConfig,
    head: Head,
    clip: Clip,
    rest: Neutral,
    plate: np.ndarray,  # uint8 [H, W, 3]
    offsets: Tensor | None = None,  # [V]
) -> Avatar:
    """An avatar that renders a plausible picture without any training."""
    behind = tensor_from_images(clip.square.cut(plate))[0]
    avatar = Avatar(config, head, behind)
    with torch.no_grad():
        avatar.identity.copy_(clip.performance.identity)
        avatar.neck.copy_(rest.neck)
        if offsets is not None:
            avatar.offsets.copy_(offsets)
    avatar.code.fit(head, clip.performance.motion)
    _paint_skin(avatar, clip)
    if config.has_layers:
        place_layers(avatar, clip)
        _paint_layers(avatar, clip)
    return avatar


def half_width_m(clip: Clip) -> float:
    """Half of what the head's layer must span to fill the picture wherever the head is."""
    depth = float(clip.performance.head_to_camera[:, 2, 3].median())
    return 0.62 * clip.lens.size * depth / clip.lens.focal


def _paint_skin(avatar: Avatar, clip: Clip) -> None:
    """The mean colour of every texel into the texture; unseen ones from the other side."""
    size = avatar.config.texture.colour_size
    means = mean_colours(_seen_pixels(avatar, clip), size)
    texels = mirrored_uv(avatar.head, size)  # [S, S, 2]
    places = torch.stack([texels[..., 0] * size, (1 - texels[..., 1]) * size], dim=-1)
    weighted = torch.cat([means[..., :COLOURS] * means[..., COLOURS:], means[..., COLOURS:]], -1)
    other = sampled(weighted.permute(2, 0, 1), places).permute(1, 2, 0) * MIRROR_WEIGHT
    total = weighted + other
    colours = total[..., :COLOURS] / total[..., COLOURS:].clamp(min=1e-9)
    # Enough weight to count as seen, where the mirror image is all there is.
    weight = torch.where(total[..., COLOURS:] > 1e-4, total[..., COLOURS:].clamp(min=0.01), 0)
    paint_pyramid(avatar.texture.colour_levels(), torch.cat([colours, weight], dim=-1))


def _seen_pixels(avatar: Avatar, clip: Clip) -> Iterator[SeenPixels]:
    for index in spread_frames(clip, TEXTURE_FRAMES):
        view = avatar.look(clip.performance.frame(index))
        hit = view.hit.numpy()
        facing = (view.points.normal * view.points.view).sum(dim=-1).clamp(min=0).numpy()
        inside = clip.masks[index][hit].astype(np.float32) / 255
        yield SeenPixels(
            view.points.uv.numpy(),
            clip.frames[index][hit].astype(np.float32) / 255,
            (facing**2 * inside**2).astype(np.float32),
        )


@torch.no_grad()
def _paint_layers(avatar: Avatar, clip: Clip) -> None:
    """Mean colour and mask of the person, seen from the head and from the torso."""
    size, half_m = avatar.config.canvas, avatar.config.half_m
    canvas = canvas_places(size)
    eyes_m = float(eye_distance(avatar.head, avatar.identity))
    sums = [torch.zeros(5, size, size) for _ in range(2)]  # colour, mask, frames seen
    for index in spread_frames(clip, LAYER_FRAMES):
        frame = clip.performance.frame(index)
        camera = camera_of(avatar.config.lens, frame.pose)
        photo = tensor_from_images(clip.frames[index])[0]
        mask = torch.from_numpy(clip.masks[index].astype(np.float32) / 255)[None]
        shares = layer_shares(camera, avatar.config.lens, avatar.pin, eyes_m)
        moved = avatar.neck_moved(frame)[0] * avatar.share
        torso = (canvas * MARGIN + 1) / 2 * avatar.config.lens.size + moved
        places = (head_pixels(camera, canvas, avatar.pin, half_m)[0], torso)
        for total, at, own in zip(sums, places, shares, strict=True):
            inside = ((at >= 0) & (at <= avatar.config.lens.size)).all(dim=-1)[None]
            if total is sums[1]:  # below the picture the torso goes on
                inside = torch.ones_like(inside)
            seen = sampled(torch.cat([photo, mask * own]), at) * inside
            alpha = seen[3:]
            total += torch.cat([seen[:3] * alpha, alpha, inside.float()])
    for layer, total in zip((avatar.hair, avatar.torso), sums, strict=True):
        colour = total[:3] / total[3:4].clamp(min=1e-3)
        layer.paint(_spread(colour, total[3] > 0.05), total[3:4] / total[4:].clamp(min=1))


def _spread(colour: Tensor, known: Tensor) -> Tensor:  # [3, S, S], [S, S]
    """Colour continued beyond where the layer was seen, so that soft edges do not turn grey."""
    image = filled(colour.permute(1, 2, 0).numpy().copy(), known.numpy())
    return torch.from_numpy(image).permute(2, 0, 1)
