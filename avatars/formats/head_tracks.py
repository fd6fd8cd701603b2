"""This program's head tracks from FLAME tracks and back, for users who have FLAME's files."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from avatars.flame.arkit_map import to_arkit
from avatars.flame.kit import FlameKit
from avatars.flame.model import NECK, FlamePose, flame_joints, flame_vertices, rest_pose
from avatars.flame.pairing import SKIN_POINTS, identity_for, rigid
from avatars.formats.flame_track import FlameTrack, pinhole, views
from avatars.heads.head import Motion, at_rest, gaze_matrices, head_vertices, landmark_points
from avatars.heads.rotations import rotation_matrices, rotation_vectors
from avatars.tracking.crops import crop_matrices
from avatars.tracking.track import CROP_SIZE, Track, camera
from dnr.errors import InputError

EXPORTED_SHAPES, EXPORTED_EXPRESSIONS = 100, 50  # as DECA and most trainers have them
ROUNDS = 6
OFF_CENTRE = 0.02  # of the frame's width: how far a principal point may be from the middle


def to_flame_track(kit: FlameKit, track: Track) -> FlameTrack:
    """The same clip in FLAME's codes: a head at rest before a moving camera.

    What FLAME has no codes for is left out: hair, tongue, and the turn of the neck, so that the
    torso follows the head.
    """
    if track.head != kit.head.name:
        raise InputError(
            f"this track is of the head {track.head!r}, the table to FLAME is for {kit.head.name!r}"
        )
    shape, turn, shift = _shape_of(kit, track.identity)
    expression, jaw = kit.table.to_flame(track.motion.expression)
    looks = rotation_vectors(gaze_matrices(track.motion.gaze)).flip(1)  # right, left -> left, right
    back = torch.cat([turn.T, -(turn.T @ shift)[:, None]], dim=1)  # FLAME's frame to the head's
    pose = track.head_to_camera @ torch.cat([back, torch.tensor([[0.0, 0, 0, 1]])])
    height, width = track.size
    still = torch.zeros_like(jaw)
    return FlameTrack(
        shape=shape,
        expression=expression[:, :EXPORTED_EXPRESSIONS],
        rotation=still,
        neck=still,
        jaw=jaw,
        eyes=looks,
        eyelids=torch.zeros(len(track), 2),
        translation=still,
        camera=views(pose, pinhole(track.focal, track.focal, width / 2, height / 2), track.size),
        images=tuple(f"images/{index:05d}.png" for index in range(len(track))),
    )


def to_head_track(kit: FlameKit, track: FlameTrack, fps: float) -> Track:
    """Somebody else's track as this program's own, on the shipped head."""
    focal, size = _lens(track)
    identity, turn, shift = _identity_of(kit, track)
    expression = to_arkit(kit.table, kit.flame, kit.pairing, track.expression, track.jaw)
    pose = _head_in_camera(kit, track) @ _square(turn, shift)
    looks = rotation_matrices(track.eyes)[..., 2].flip(1)  # where z goes; right, then left
    gaze = torch.stack([torch.atan2(looks[..., 0], looks[..., 2]), looks[..., 1].asin()], dim=-1)
    motion = Motion(expression, gaze, track.neck)
    frames = len(track)
    made = Track(
        head=kit.head.name,
        identity=identity,
        offsets=torch.zeros(len(kit.head.template)),
        motion=motion,
        head_to_camera=pose[:, :3],
        focal=focal,
        size=size,
        fps=fps,
        times=torch.arange(frames, dtype=torch.float64) / fps,
        landmarks=torch.zeros(frames, 478, 2),
        found=torch.ones(frames, dtype=torch.bool),
        doubt=torch.zeros(frames),
        crop=torch.zeros(frames, 2, 3, dtype=torch.float64),
    )
    points = landmark_points(kit.head, head_vertices(kit.head, identity, motion))
    seen = camera(made, torch.arange(frames)).project(points)[..., :2]
    skin = seen[:, :SKIN_POINTS]
    boxes = torch.cat([skin.amin(dim=1), skin.amax(dim=1)], dim=1).numpy()
    crop = torch.from_numpy(crop_matrices(boxes, size, CROP_SIZE, fps))
    return replace(made, landmarks=seen, crop=crop)


def _shape_of(kit: FlameKit, identity: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """FLAME's shape of a tracked person, and where FLAME's frame lies in the head's."""
    goal = landmark_points(kit.head, at_rest(kit.head, identity)[None])[0, :SKIN_POINTS]
    flame, points = kit.flame, kit.pairing.points
    mean = points.on(flame.template[None], flame.faces)[0]
    basis = points.on(flame.shape[:EXPORTED_SHAPES], flame.faces)
    code, turn, shift = _fitted(goal, mean, basis)
    return code, turn.T, -(turn.T @ shift)


def _identity_of(kit: FlameKit, track: FlameTrack) -> tuple[Tensor, Tensor, Tensor]:
    """The tracked identity of a FLAME shape, and where the head's frame lies in FLAME's."""
    shape = track.shape[None]
    rest = flame_vertices(kit.flame, shape, torch.zeros(1, 1), rest_pose(shape), track.offsets)[0]
    goal = kit.pairing.points.on(rest, kit.flame.faces)[0]
    mean = landmark_points(kit.head, kit.head.template[None])[0, :SKIN_POINTS]
    basis = landmark_points(kit.head, kit.head.identity)[:, :SKIN_POINTS]
    return _fitted(goal, mean, basis)


def _fitted(goal: Tensor, mean: Tensor, basis: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Coefficients of a linear model, and the turn and shift that bring it onto `goal`."""
    target, start, columns = (x.double().numpy() for x in (goal, mean, basis))
    code, trust = np.zeros(len(columns)), np.ones(len(target))
    turn, shift = np.eye(3), np.zeros(3)
    for _ in range(ROUNDS):
        turn, shift = rigid(start + np.tensordot(code, columns, 1), target)
        code = identity_for(start, columns, (target - shift) @ turn, trust)
    return tuple(torch.from_numpy(x).float() for x in (code, turn, shift))  # type: ignore[return-value]


def _head_in_camera(kit: FlameKit, track: FlameTrack) -> Tensor:  # [T, 4, 4]
    """What skinning does to the skull, then the track's own motion, then the camera."""
    root = track.rotation if track.pivot == "root" else torch.zeros_like(track.rotation)
    pose = FlamePose(root, track.neck, torch.zeros_like(root), torch.zeros_like(track.eyes))
    shape = track.shape.expand(len(track), -1)
    turn, shift = flame_joints(kit.flame, shape, track.expression, pose, NECK)
    moved = _square(turn, shift)
    if track.pivot == "origin":
        moved = _square(rotation_matrices(track.rotation), 0 * shift) @ moved
    moved[:, :3, 3] += track.translation
    return track.camera.world_to_camera @ moved


def _square(turn: Tensor, shift: Tensor) -> Tensor:  # [*, 3, 3], [*, 3] -> [*, 4, 4]
    rows = torch.cat([turn, shift[..., None]], dim=-1)
    last = torch.tensor([0.0, 0.0, 0.0, 1.0]).expand(*rows.shape[:-2], 1, 4)
    return torch.cat([rows, last], dim=-2)


def _lens(track: FlameTrack) -> tuple[float, tuple[int, int]]:
    lens, (height, width) = track.camera.intrinsics, track.camera.size
    focal = float(lens[:, :2, :2].diagonal(dim1=1, dim2=2).mean())
    middle = lens.new_tensor([width / 2, height / 2])
    off = float((lens[:, :2, 2] - middle).abs().max())
    if off > OFF_CENTRE * width:
        raise InputError(
            f"the camera's principal point is {off:.0f} pixels from the middle of its pictures; "
            "crop or pad them so that it is there, and change cx and cy with them"
        )
    return focal, (height, width)
