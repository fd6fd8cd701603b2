"""DECA's answers for the frames of a clip, as a start for the tracker."""

from __future__ import annotations

import torch
from torch import Tensor

from avatars.deca.camera import crop, crop_box
from avatars.deca.networks import INPUT_SIZE, Deca, DecaCodes
from avatars.flame.kit import FlameKit
from avatars.flame.model import LEFT_EYE, RIGHT_EYE, Flame, FlamePose, flame_vertices
from avatars.formats.flame_track import FlameTrack, pinhole, views
from avatars.formats.head_tracks import to_head_track
from avatars.tracking.track import Track
from dnr.shapes import check_shape


@torch.no_grad()
def read_codes(
    deca: Deca,
    photos: Tensor,  # [B, 3, H, W]
    points: Tensor,  # [B, 68, 2] pixels
) -> tuple[DecaCodes, Tensor]:
    """The coarse codes of the faces at `points`, and the boxes [B, 3] that were looked at."""
    box = crop_box(points)
    return deca.coarse(crop(photos, box).to(photos)), box


def deca_flame_track(
    flame: Flame,
    codes: DecaCodes,  # T frames
    box: Tensor,  # [T, 3]
    size: tuple[int, int],  # of the frames
    focal: float,  # pixels
) -> FlameTrack:
    """The weak perspective of each crop as a pinhole that sees the eyes at the same place and size.

    One shape for the whole clip: the mean of all frames, which DECA sees independently.
    """
    check_shape("box", box, f"{len(codes.pose)} 3")
    height, width = size
    shape = codes.shape.mean(dim=0)
    zero = torch.zeros_like(codes.pose[:, :3])
    pose = FlamePose(codes.pose[:, :3], zero, codes.pose[:, 3:], zero[:, None].expand(-1, 2, -1))
    joints = flame_vertices(flame, shape.expand(len(zero), -1), codes.expression, pose)[1]
    depth = joints[:, [LEFT_EYE, RIGHT_EYE], 2].mean(dim=1)  # of the eyes, towards the viewer
    stretch = box[:, 2] * (INPUT_SIZE / 2) / (INPUT_SIZE - 1)
    metre = codes.camera[:, 0] * stretch  # pixels of one metre
    middle = box[:, :2] + stretch[:, None] - box[:, 2:] / 2  # where the crop has its zero
    off = (middle - middle.new_tensor([width / 2, height / 2])) / metre[:, None]
    shift = torch.stack(
        [codes.camera[:, 1] + off[:, 0], off[:, 1] - codes.camera[:, 2], focal / metre + depth],
        dim=1,
    )
    flip = torch.diag(torch.tensor([1.0, -1.0, -1.0])).expand(len(zero), 3, 3)
    return FlameTrack(
        shape=shape,
        expression=codes.expression,
        rotation=codes.pose[:, :3],
        neck=zero,
        jaw=codes.pose[:, 3:],
        eyes=pose.eyes,
        eyelids=torch.zeros(len(zero), 2),
        translation=zero,
        camera=views(
            torch.cat([flip, shift[..., None]], dim=2),
            pinhole(focal, focal, width / 2, height / 2),
            size,
        ),
        images=tuple(f"images/{index:05d}.png" for index in range(len(zero))),
    )


def start_from_deca(
    kit: FlameKit,  # of FLAME 2020, which DECA was trained with
    codes: DecaCodes,
    box: Tensor,  # [T, 3]
    size: tuple[int, int],
    focal: float,
    fps: float,
) -> Track:
    """Identity, motion and pose of every frame on the shipped head, for the tracker to refine."""
    return to_head_track(kit, deca_flame_track(kit.flame, codes, box, size, focal), fps)
