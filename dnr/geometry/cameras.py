"""Pinhole cameras: where the photos were taken from, and where new views are seen from."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from dnr.shapes import check_shape


@dataclass(frozen=True)
class Camera:
    """A batch of B pinhole views of one size. Lens distortion is removed on import: none here."""

    world_to_camera: Tensor  # [B, 4, 4], rigid, OpenCV axes
    intrinsics: Tensor  # [B, 3, 3] in pixels
    size: tuple[int, int]  # (height, width)

    def __post_init__(self) -> None:
        check_shape("world_to_camera", self.world_to_camera, "B 4 4")
        check_shape("intrinsics", self.intrinsics, "B 3 3")

    def __len__(self) -> int:
        return len(self.world_to_camera)

    def __getitem__(self, index: int) -> Camera:
        """The view at `index`, still as a batch (of one)."""
        views = slice(index, index + 1) if index != -1 else slice(-1, None)
        return Camera(self.world_to_camera[views], self.intrinsics[views], self.size)

    @property
    def position(self) -> Tensor:  # [B, 3]
        """Centres of projection in the world."""
        rotation, translation = self.world_to_camera[:, :3, :3], self.world_to_camera[:, :3, 3:]
        return -(rotation.transpose(1, 2) @ translation)[..., 0]

    def to(self, like: Tensor) -> Camera:
        """The same views on the device and in the dtype of `like`."""
        return Camera(self.world_to_camera.to(like), self.intrinsics.to(like), self.size)

    def in_camera(self, points: Tensor) -> Tensor:  # [V, 3] or [B, V, 3] -> [B, V, 3]
        """World points in each camera's own axes."""
        rotation, translation = self.world_to_camera[:, :3, :3], self.world_to_camera[:, :3, 3]
        return points @ rotation.transpose(1, 2) + translation[:, None]

    def project(self, points: Tensor) -> Tensor:  # [V, 3] or [B, V, 3] -> [B, V, 3]
        """Column and row in pixels, and depth. Meaningless for points behind the camera."""
        local = self.in_camera(points)
        on_screen = local @ self.intrinsics.transpose(1, 2)
        return torch.cat([on_screen[..., :2] / local[..., 2:], local[..., 2:]], dim=-1)

    def rays(self) -> Tensor:  # [B, H, W, 3]
        """Unit directions in the world, away from the camera, through every pixel centre."""
        height, width = self.size
        like = self.world_to_camera
        rows = torch.arange(height, device=like.device, dtype=like.dtype) + 0.5
        columns = torch.arange(width, device=like.device, dtype=like.dtype) + 0.5
        row, column = torch.meshgrid(rows, columns, indexing="ij")
        pixels = torch.stack([column, row, torch.ones_like(row)], dim=-1).reshape(1, -1, 3)
        local = pixels @ torch.linalg.inv(self.intrinsics).transpose(1, 2)
        world = functional.normalize(local @ self.world_to_camera[:, :3, :3], dim=-1)
        return world.reshape(-1, height, width, 3)

    def resized(self, size: tuple[int, int]) -> Camera:
        """The same field of view in another number of pixels."""
        scale = self.intrinsics.new_tensor([size[1] / self.size[1], size[0] / self.size[0], 1.0])
        return Camera(self.world_to_camera, scale[:, None] * self.intrinsics, size)

    def from_object(self, object_to_world: Tensor) -> Camera:  # [4, 4], rigid
        """The same views seen from the frame of an object that stands at `object_to_world`."""
        return Camera(self.world_to_camera @ object_to_world, self.intrinsics, self.size)


def join_cameras(cameras: list[Camera]) -> Camera:
    """One batch of all views; they must share one size."""
    sizes = {camera.size for camera in cameras}
    if len(sizes) != 1:
        raise ValueError(f"cameras must share one size to be joined, got {sorted(sizes)}")
    return Camera(
        torch.cat([camera.world_to_camera for camera in cameras]),
        torch.cat([camera.intrinsics for camera in cameras]),
        cameras[0].size,
    )


def look_at(
    position: Tensor,  # [B, 3]
    target: Tensor,  # [3] or [B, 3]
    up: Tensor,  # [3] or [B, 3]; need not be orthogonal to the viewing direction
) -> Tensor:  # [B, 4, 4] world_to_camera
    """Cameras at `position` that look at `target`, with `up` upwards in the image."""
    forward = functional.normalize(target - position, dim=-1)
    right = functional.normalize(torch.linalg.cross(forward, up.expand_as(forward)), dim=-1)
    down = torch.linalg.cross(forward, right)
    rotation = torch.stack([right, down, forward], dim=1)
    matrix = torch.eye(4, dtype=position.dtype, device=position.device).repeat(len(position), 1, 1)
    matrix[:, :3, :3] = rotation
    matrix[:, :3, 3] = -(rotation @ position[..., None])[..., 0]
    return matrix


def intrinsics_from_fov(
    vertical_fov_deg: float, size: tuple[int, int], like: Tensor
) -> Tensor:  # [1, 3, 3]
    """Square pixels, principal point in the middle of the image."""
    height, width = size
    half = torch.deg2rad(like.new_tensor(vertical_fov_deg / 2))
    focal_px = height / 2 / torch.tan(half)
    matrix = torch.eye(3, dtype=like.dtype, device=like.device)
    matrix[0, 0] = matrix[1, 1] = focal_px
    matrix[0, 2], matrix[1, 2] = width / 2, height / 2
    return matrix[None]
