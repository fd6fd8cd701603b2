"""Where a virtual camera goes: around the object, through given views, or along a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from scipy.interpolate import CubicHermiteSpline, interp1d
from scipy.spatial.transform import Rotation, RotationSpline
from torch import Tensor
from torch.nn import functional

from dnr.errors import InputError
from dnr.geometry.camera_files import read_frames, write_frames
from dnr.geometry.cameras import Camera, look_at
from dnr.geometry.meshes import Mesh

FULL_TURN_GAP_DEG = 150.0
"""Cameras that leave a wider gap around the object saw it from one side: no full turn."""


def orbit(cameras: Camera, mesh: Mesh, num_frames: int) -> Camera:
    """A turntable at the height and distance where `cameras` typically stood, with their optics.

    It looks at where they looked, and starts at the first of them. If they leave more than
    `FULL_TURN_GAP_DEG` of the circle unseen, the path swings to and fro over the part they saw.
    Both ways the last frame leads back to the first.
    """
    _check_count(num_frames)
    views = cameras.world_to_camera.double()
    position, forward, up = cameras.position.double(), views[:, 2, :3], -views[:, 1, :3]
    target = _looked_at(position, forward, mesh.vertices.to(views))
    axis = up.mean(dim=0)
    axis = functional.normalize(axis if axis.norm() > 0.1 else up[0], dim=0)
    offset = position - target
    height = offset @ axis
    across = offset - height[:, None] * axis
    distance = offset.norm(dim=1).median()
    elevation = torch.atan2(height, across.norm(dim=1)).median()
    east = functional.normalize(_across(axis, across[0]), dim=0)
    north = torch.linalg.cross(axis, east)
    azimuth = _turn(torch.atan2(across @ north, across @ east), num_frames)[:, None]
    level = azimuth.cos() * east + azimuth.sin() * north
    place = target + distance * (elevation.cos() * level + elevation.sin() * axis)
    # not median(): on expanded tensors, which batches of one lens are, torch 2.13 returns garbage
    intrinsics = cameras.intrinsics.quantile(0.5, dim=0).expand(num_frames, 3, 3)
    return Camera(look_at(place, target, axis).to(cameras.intrinsics), intrinsics, cameras.size)


def through_views(cameras: Camera, num_frames: int, closed: bool = False) -> Camera:
    """A smooth flight through all of `cameras` in their order.

    Positions follow a Catmull-Rom spline, directions a spline of rotations, at a steady pace. An
    open path begins and ends at the first and last view; a closed one returns to the first.
    """
    _check_count(num_frames)
    to_world = torch.linalg.inv(cameras.world_to_camera.double()).cpu().numpy()
    intrinsics = cameras.intrinsics.double().cpu().numpy()
    pace = _pace(to_world, np.arange(len(to_world)))
    kept = np.flatnonzero(np.append(1.0, pace) > 0)  # a view twice in a row is one stop
    if closed and len(kept) > 1 and _pace(to_world, kept[[-1, 0]])[0] == 0:
        kept = kept[:-1]
    if len(kept) == 1:
        first = slice(0, 1)
        return Camera(
            cameras.world_to_camera[first].expand(num_frames, 4, 4),
            cameras.intrinsics[first].expand(num_frames, 3, 3),
            cameras.size,
        )
    stops = kept[np.arange(-2, len(kept) + 3) % len(kept)] if closed else kept
    times = np.append(0.0, np.cumsum(_pace(to_world, stops)))
    begin, end = (times[2], times[-3]) if closed else (times[0], times[-1])
    when = np.linspace(begin, end, num_frames, endpoint=not closed)
    place = to_world[stops, :3, 3]
    order = 1 if len(stops) == 2 else 2
    tangents = np.gradient(place, times, axis=0, edge_order=order)
    pose = np.tile(np.eye(4), (num_frames, 1, 1))
    pose[:, :3, 3] = CubicHermiteSpline(times, place, tangents)(when)
    turns = RotationSpline(times, Rotation.from_matrix(to_world[stops, :3, :3]))
    pose[:, :3, :3] = turns(when).as_matrix()
    like = cameras.intrinsics
    return Camera(
        torch.linalg.inv(torch.from_numpy(pose)).to(like),
        torch.from_numpy(interp1d(times, intrinsics[stops], axis=0)(when)).to(like),
        cameras.size,
    )


def load_path(path: Path) -> Camera:
    """The frames of a `transforms.json` as one batch; lens distortion is left out."""
    frames = read_frames(path)
    sizes = {frame.lens.size for frame in frames}
    size = sizes.pop()
    if size is None or sizes:
        raise InputError(f"{path} must give one w and one h for all frames of a camera path.")
    return Camera(
        torch.cat([frame.world_to_camera for frame in frames]),
        torch.cat([frame.lens.intrinsics(size) for frame in frames]),
        size,
    )


def save_path(path: Path, camera: Camera) -> None:
    """Write the views so that `load_path` gives them back."""
    write_frames(path, camera)


def _check_count(num_frames: int) -> None:
    if num_frames < 1:
        raise ValueError(f"num_frames must be at least 1, got {num_frames}")


def _looked_at(position: Tensor, forward: Tensor, vertices: Tensor) -> Tensor:  # [3]
    """The point nearest to all lines of sight; drawn a little to the middle of the mesh.

    The pull decides where the lines leave the point open: a single view, or parallel ones.
    """
    pull = 1e-2 * len(position)
    middle = (vertices.amin(dim=0) + vertices.amax(dim=0)) / 2
    identity = torch.eye(3).to(position)
    beside = identity - forward[:, :, None] * forward[:, None, :]  # [B, 3, 3]
    total = (beside @ position[:, :, None]).sum(dim=0)[:, 0] + pull * middle
    return torch.linalg.solve(beside.sum(dim=0) + pull * identity, total)


def _across(axis: Tensor, preferred: Tensor) -> Tensor:  # [3], orthogonal to `axis`
    """`preferred`, or any direction if that one is too short to be one."""
    if preferred.norm() > 1e-6:
        return preferred
    return torch.linalg.cross(axis, torch.eye(3).to(axis)[axis.abs().argmin()])


def _turn(azimuth: Tensor, num_frames: int) -> Tensor:  # [B] -> [num_frames], radians
    """Angles of a full turn that starts at 0, or of a swing over the arc of `azimuth`."""
    phase = torch.arange(num_frames).to(azimuth) / num_frames * 2 * torch.pi
    ordered = azimuth.remainder(2 * torch.pi).sort().values
    gaps = torch.cat([ordered[1:], ordered[:1] + 2 * torch.pi]) - ordered
    widest = int(gaps.argmax())
    if len(azimuth) < 2 or gaps[widest] <= np.deg2rad(FULL_TURN_GAP_DEG):
        return phase
    first = ordered[(widest + 1) % len(ordered)]
    half = (2 * torch.pi - gaps[widest]) / 2
    return first + half - half * phase.cos()


def _pace(to_world: np.ndarray, stops: np.ndarray) -> np.ndarray:  # [N] -> [N - 1]
    """Time from stop to stop: by distance and by turning, each in units of its own mean."""
    place, turned = to_world[stops, :3, 3], Rotation.from_matrix(to_world[stops, :3, :3])
    distance = np.linalg.norm(np.diff(place, axis=0), axis=1)
    angle = (turned[1:] * turned[:-1].inv()).magnitude() if len(stops) > 1 else np.zeros(0)
    distance[distance < 1e-9 * max(np.abs(place).max(), 1e-9)] = 0
    angle[angle < 1e-6] = 0
    shares = [part / part.sum() for part in (distance, angle) if part.sum() > 0]
    return sum(shares, np.zeros(len(distance)))
