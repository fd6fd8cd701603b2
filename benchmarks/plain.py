"""An averaged RGB texture in its simplest form, to see how strong a baseline ours is.

Every pixel adds its colour to the nearest texel of one image; lookups are bilinear over texels that
were hit, one at each pixel's centre. No pyramid, no view weights, no antialiasing; the rasteriser
and what lies beside the mesh are ours.
"""

from __future__ import annotations

import numpy as np
import torch

from benchmarks.scenes import OpenScene
from dnr.geometry.cameras import Camera
from dnr.geometry.meshes import Mesh
from dnr.raster.rasterize import rasterize
from dnr.raster.surface import interpolate
from dnr.textures.backdrop import Backdrop
from dnr.training.metrics import psnr, ssim

SIZE = 512


def plain_texture_figures(
    scene: OpenScene, backdrop: Backdrop, size: int = SIZE
) -> dict[str, float]:
    """PSNR and SSIM, mean over the held-out views."""
    sums = np.zeros((size * size, 4))
    for index, camera in enumerate(scene.photos.cameras):
        uv, seen = seen_uv(scene.mesh, camera)
        column, row = (np.clip(uv, 0, 1 - 1e-6) * size).astype(int).T
        colour = scene.photos[index].rgb.reshape(-1, 3)[seen] / 255
        counted = np.concatenate([colour, np.ones((len(colour), 1))], axis=1)
        np.add.at(sums, (size - 1 - row) * size + column, counted)
    known = (sums[:, 3:] > 0).astype(float)
    texture = np.concatenate([sums[:, :3] / np.maximum(sums[:, 3:], 1), known], axis=1)
    texture = texture.reshape(size, size, 4)
    rows = []
    for index, camera in enumerate(scene.held_out.cameras):
        uv, seen = seen_uv(scene.mesh, camera)
        image = backdrop(camera.rays())[0].permute(1, 2, 0).reshape(-1, 3).numpy().copy()
        image[seen] = look_up(texture, uv)
        pair = image, scene.held_out[index].rgb / 255
        render, photo = (
            torch.from_numpy(x).reshape(1, *camera.size, 3).permute(0, 3, 1, 2).float()
            for x in pair
        )
        rows.append((float(psnr(render, photo)), float(ssim(render, photo))))
    means = np.mean(rows, axis=0)
    return {"psnr": float(means[0]), "ssim": float(means[1])}


def seen_uv(mesh: Mesh, camera: Camera) -> tuple[np.ndarray, np.ndarray]:  # [N, 2], bool [H * W]
    """Where pixel centres look, for those that see the mesh."""
    fragments = rasterize(mesh.vertices, mesh.faces, camera)
    seen = (fragments.face_id >= 0).reshape(-1).numpy()
    return interpolate(fragments, mesh, camera).uv.reshape(-1, 2).numpy()[seen], seen


def look_up(texture: np.ndarray, uv: np.ndarray) -> np.ndarray:  # [S, S, 4], [N, 2] -> [N, 3]
    """Bilinear means over texels whose last number is one; grey where there are none."""
    size = len(texture)
    place = np.clip(np.stack([1 - uv[:, 1], uv[:, 0]], axis=1) * size - 0.5, 0, size - 1)
    first = np.minimum(place.astype(int), size - 2)
    share = place - first
    total = np.zeros((len(uv), 4))
    for down in (0, 1):
        for right in (0, 1):
            weight = np.abs(1 - down - share[:, 0]) * np.abs(1 - right - share[:, 1])
            texel = texture[first[:, 0] + down, first[:, 1] + right]
            total += weight[:, None] * texel * texel[:, 3:]
    return np.where(total[:, 3:] > 1e-6, total[:, :3] / np.maximum(total[:, 3:], 1e-6), 0.5)
