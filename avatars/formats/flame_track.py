"""A clip as FLAME codes and cameras: what most other head trackers write, in one form."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from avatars.flame.model import Flame, FlamePose, flame_vertices, rest_pose
from avatars.heads.rotations import rotation_matrices, rotation_vectors
from dnr.geometry.cameras import Camera
from dnr.shapes import check_shape


@dataclass(frozen=True)
class FlameTrack:
    """T frames of one person. World: FLAME's axes and metres."""

    shape: Tensor  # [S], the first S of FLAME's coefficients
    expression: Tensor  # [T, E]
    rotation: Tensor  # [T, 3], of the head in the world, axis and angle
    neck: Tensor  # [T, 3]
    jaw: Tensor  # [T, 3]
    eyes: Tensor  # [T, 2, 3], left, then right
    eyelids: Tensor  # [T, 2], closed by this much, left, then right; 0 where not tracked
    translation: Tensor  # [T, 3]
    camera: Camera  # T views
    images: tuple[str, ...]  # T names of pictures, relative to the folder of the track
    pivot: Literal["root", "origin"] = "root"  # what `rotation` turns about
    offsets: Tensor | None = None  # [V, 3], added to the shape: hair, clothes

    def __post_init__(self) -> None:
        frames = len(self.images)
        for name, spec in _SPECS.items():
            check_shape(name, getattr(self, name), spec.replace("T", str(frames)))
        if len(self.camera) != frames:
            raise ValueError(f"camera must have {frames} views, got {len(self.camera)}")

    def __len__(self) -> int:
        return len(self.images)


_SPECS = {"expression": "T E", "rotation": "T 3", "neck": "T 3", "jaw": "T 3"}
_SPECS |= {"eyes": "T 2 3", "eyelids": "T 2", "translation": "T 3"}


def track_vertices(
    flame: Flame,
    track: FlameTrack,
    eyelids: Tensor | None = None,  # [2, V, 3], shapes of closed lids, left, then right
) -> Tensor:  # [T, V, 3]
    """The head in the world, frame by frame."""
    turns_in_model = track.pivot == "root"
    root = track.rotation if turns_in_model else torch.zeros_like(track.rotation)
    pose = FlamePose(root, track.neck, track.jaw, track.eyes)
    shape = track.shape.expand(len(track), -1)
    vertices = flame_vertices(flame, shape, track.expression, pose, track.offsets)[0]
    if eyelids is not None:  # as in metrical-tracker, after skinning
        vertices = vertices + torch.tensordot(track.eyelids, eyelids, dims=1)
    if not turns_in_model:
        vertices = vertices @ rotation_matrices(track.rotation).transpose(1, 2)
    return vertices + track.translation[:, None]


def about_root(flame: Flame, track: FlameTrack) -> FlameTrack:
    """The same motion with rotations about FLAME's root joint, as most programs have them."""
    if track.pivot == "root":
        return track
    root = _root_joints(flame, track)
    turned = (rotation_matrices(track.rotation) @ root[..., None])[..., 0]
    return replace(track, translation=track.translation + turned - root, pivot="root")


def about_origin(flame: Flame, track: FlameTrack) -> FlameTrack:
    """The same motion with rotations about the world's origin."""
    if track.pivot == "origin":
        return track
    root = _root_joints(flame, track)
    turned = (rotation_matrices(track.rotation) @ root[..., None])[..., 0]
    return replace(track, translation=track.translation + root - turned, pivot="origin")


def camera_at_rest(flame: Flame, track: FlameTrack) -> FlameTrack:
    """The same pictures with a camera at the origin that looks at the face, and a moving head."""
    track = head_at_rest(flame, track)
    to_camera = track.camera.world_to_camera
    facing = torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0]))
    moves = facing @ to_camera  # the diagonal is its own inverse
    rotation = rotation_vectors(moves[:, :3, :3])
    moved = replace(track, rotation=rotation, translation=moves[:, :3, 3], pivot="origin")
    camera = views(facing[:3].expand(len(track), 3, 4), track.camera.intrinsics, track.camera.size)
    return about_root(flame, replace(moved, camera=camera))


def head_at_rest(flame: Flame, track: FlameTrack) -> FlameTrack:
    """The same pictures with a head that neither turns nor moves, in front of a moving camera."""
    track = about_root(flame, track)
    turn, root = rotation_matrices(track.rotation), _root_joints(flame, track)
    shift = root - (turn @ root[..., None])[..., 0] + track.translation
    to_camera = track.camera.world_to_camera
    moved = to_camera[:, :3, :3] @ torch.cat([turn, shift[..., None]], dim=2)
    moved[..., 3] += to_camera[:, :3, 3]
    still = torch.zeros_like(track.rotation)
    camera = views(moved, track.camera.intrinsics, track.camera.size)
    return replace(track, rotation=still, translation=still, camera=camera)


def _root_joints(flame: Flame, track: FlameTrack) -> Tensor:  # [T, 3]
    pose = rest_pose(track.rotation, len(track))
    shape = track.shape.expand(len(track), -1)
    return flame_vertices(flame, shape, track.expression, pose)[1][:, 0]


def six_numbers(vectors: Tensor) -> Tensor:  # [*, 3] -> [*, 6]
    """Rotations as the first two rows of their matrices (Zhou et al. 2019)."""
    return rotation_matrices(vectors)[..., :2, :].flatten(start_dim=-2)


def from_six_numbers(six: Tensor) -> Tensor:  # [*, 6] -> [*, 3, 3]
    """Rotation matrices out of two rows that need not be exact."""
    first = functional.normalize(six[..., :3], dim=-1)
    rest = six[..., 3:] - (first * six[..., 3:]).sum(dim=-1, keepdim=True) * first
    second = functional.normalize(rest, dim=-1)
    return torch.stack([first, second, torch.linalg.cross(first, second)], dim=-2)


def views(
    world_to_camera: Tensor,  # [T, 3, 4]
    intrinsics: Tensor,  # [3, 3] or [T, 3, 3]
    size: tuple[int, int],
) -> Camera:
    """One view for each matrix."""
    last = world_to_camera.new_tensor([0.0, 0.0, 0.0, 1.0]).expand(len(world_to_camera), 1, 4)
    matrices = torch.cat([world_to_camera, last], dim=1)
    return Camera(matrices, intrinsics.expand(len(matrices), 3, 3), size)


def pinhole(fx: float, fy: float, cx: float, cy: float) -> Tensor:  # [3, 3]
    """An intrinsic matrix, in pixels."""
    return torch.tensor([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])
