"""Photos as stereo sees them: grey pictures and plain matrices."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from dnr.capture.photos import Photo
from dnr.geometry.cameras import Camera

MASK_ERROR_PX = 2  # outlines of masks are not taken more exactly than this


class StereoView(NamedTuple):
    """One posed grey picture."""

    grey: np.ndarray  # float32 [H, W] in [0, 1]
    usable: np.ndarray  # bool [H, W]: the photo has data here and it shows the object
    outside: np.ndarray  # bool [H, W]: the photo has data here and its mask surely excludes it
    intrinsics: np.ndarray  # float64 [3, 3], pixel centres at +0.5
    world_to_camera: np.ndarray  # float64 [4, 4]

    @property
    def centre(self) -> np.ndarray:  # [3]
        """Centre of projection in the world."""
        return -self.world_to_camera[:3, :3].T @ self.world_to_camera[:3, 3]

    def project(self, points: np.ndarray) -> np.ndarray:  # [N, 3] -> [N, 3]
        """Column, row, depth. Meaningless for points behind the camera."""
        local = points @ self.world_to_camera[:3, :3].T + self.world_to_camera[:3, 3]
        on_screen = local @ self.intrinsics.T
        with np.errstate(divide="ignore", invalid="ignore"):
            on_screen[:, :2] /= on_screen[:, 2:]
        return on_screen

    def shows(self, screen: np.ndarray) -> np.ndarray:  # [N, 3] projected -> bool [N]
        """Which of the projected points lie in front of the camera and inside the picture."""
        height, width = self.grey.shape
        inside = (screen[:, :2] > 0).all(1) & (screen[:, 0] < width) & (screen[:, 1] < height)
        return inside & (screen[:, 2] > 0)

    def rays(self) -> np.ndarray:  # [H, W, 3]
        """World directions through the pixel centres whose depth in the camera is one."""
        height, width = self.grey.shape
        row, column = np.mgrid[:height, :width] + 0.5
        pixels = np.stack([column, row, np.ones_like(row)], axis=-1)
        to_world = np.linalg.inv(self.intrinsics @ self.world_to_camera[:3, :3])
        return (pixels @ to_world.T).astype(np.float32)


def stereo_view(photo: Photo, camera: Camera) -> StereoView:
    """The view of `camera` (a batch of one)."""
    weights = np.array([0.299, 0.587, 0.114], np.float32) / 255
    valid, on_object = photo.valid == 255, photo.alpha > 127
    around = np.ones((2 * MASK_ERROR_PX + 1, 2 * MASK_ERROR_PX + 1), np.uint8)
    near_object = cv2.dilate(on_object.astype(np.uint8), around).astype(bool)
    return StereoView(
        np.ascontiguousarray(photo.rgb.astype(np.float32) @ weights),
        valid & on_object,
        valid & ~near_object,
        camera.intrinsics[0].double().cpu().numpy(),
        camera.world_to_camera[0].double().cpu().numpy(),
    )


def halved(view: StereoView) -> StereoView:
    """The same view with half as many rows and columns."""
    height, width = view.grey.shape
    size = (max(height // 2, 1), max(width // 2, 1))
    scale = np.array([size[1] / width, size[0] / height, 1.0])[:, None]
    small = [
        cv2.resize(plane.astype(np.float32), size[::-1], interpolation=cv2.INTER_AREA)
        for plane in (view.grey, view.usable, view.outside)
    ]
    return StereoView(
        small[0], small[1] > 0.5, small[2] > 0.5, scale * view.intrinsics, view.world_to_camera
    )
