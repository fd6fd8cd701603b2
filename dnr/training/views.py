"""Everything training needs to know of the photos, fifteen bytes per pixel, in two flat files.

For every pixel of every view: what it sees of the mesh (uv and normal as 16-bit fixed point; half
floats would lose a texel near 1), its colour, a state, and its mask. The direction to the camera
follows from the pixel itself. The mesh is rasterised once per view here and not again.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.lib.format import open_memmap

from dnr.capture.photos import Photos
from dnr.errors import InputError
from dnr.files import DISK_TROUBLES
from dnr.geometry.cameras import Camera
from dnr.geometry.meshes import Mesh
from dnr.raster.edges import edge_pixels
from dnr.raster.rasterize import Backend, rasterize
from dnr.raster.surface import interpolate

TILE = 8
"""Pixels are drawn in tiles of this side: neighbours share texels, so a batch touches fewer."""

SEEN, CLEAN, VALID = 1, 2, 4
"""Bits of a pixel's state: the mesh is hit; the pixel shows one surface only (no edge, not masked
out); the photo has data here."""

UV_STEP = 1 / 65535
NORMAL_STEP = 1 / 32767
DENSITY_STEPS = 8
"""Steps per pixel across the whole of uv space: up to 8191 pixels can be told apart."""


@dataclass(frozen=True)
class Views:
    """The photos of one split, flattened one after the other."""

    geometry: np.ndarray  # uint16 [P, 5]: u, v, octahedral normal, 1 / footprint
    colours: np.ndarray  # uint8 [P, 5]: red, green, blue, state, alpha (255 on the object)
    starts: np.ndarray  # int64 [V + 1], first pixel of each view
    widths: np.ndarray  # int64 [V]
    rays: np.ndarray  # float32 [V, 3, 3]: homogeneous pixel to direction, in the mesh's frame
    tiles: np.ndarray  # int32 [T, 3]: view, first row and first column of tiles with clean pixels

    def __len__(self) -> int:
        return len(self.widths)

    def size(self, view: int) -> tuple[int, int]:
        """(height, width) of one view."""
        pixels, width = self.starts[view + 1] - self.starts[view], self.widths[view]
        return int(pixels // width), int(width)

    def give_back(self) -> None:
        """Let go of the memory that holds what was read or written; the files keep all of it."""
        for array in (self.geometry, self.colours):
            pages = getattr(array, "_mmap", None)
            if pages is not None and hasattr(mmap, "MADV_DONTNEED"):
                pages.madvise(mmap.MADV_DONTNEED)


def lay_out_views(
    photos: Photos,
    mesh: Mesh,
    folder: Path,
    shown: Callable[[int], object] = int,  # told how many are done
) -> Views:
    """Rasterise the mesh into every photo and store both in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    sizes = [camera.size for camera in photos.cameras]
    starts = np.concatenate([[0], np.cumsum([height * width for height, width in sizes])])
    geometry = _room(folder / "geometry.npy", np.uint16, (int(starts[-1]), 5))
    colours = _room(folder / "colours.npy", np.uint8, (int(starts[-1]), 5))
    rays = np.stack([_pixel_to_direction(camera) for camera in photos.cameras])
    tiles = []
    for index, camera in enumerate(photos.cameras):
        pixels = slice(starts[index], starts[index + 1])
        seen, clean = fill_geometry(geometry[pixels], mesh, camera)
        photo = photos[index]
        colours[pixels, :3] = photo.rgb.reshape(-1, 3)
        clean &= (photo.valid == 255) & (photo.alpha == 255)
        state = SEEN * seen + CLEAN * clean + VALID * (photo.valid == 255)
        colours[pixels, 3] = state.reshape(-1)
        colours[pixels, 4] = photo.alpha.reshape(-1)
        tiles.append(_tiles(index, clean))
        shown(index + 1)
    widths = np.array([width for _, width in sizes])
    views = Views(geometry, colours, starts, widths, rays, np.concatenate(tiles))
    views.give_back()
    return views


def _room(path: Path, dtype: type[np.generic], shape: tuple[int, int]) -> np.ndarray:
    """An array of zeros that lives in the new file `path`.

    Its blocks are taken from the disk at once: writing through a map to a full disk kills the
    process without a word.
    """
    try:
        array = open_memmap(path, "w+", dtype, shape)
        if hasattr(os, "posix_fallocate"):
            with path.open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    except OSError as error:
        words = DISK_TROUBLES.get(error.errno or 0) or error.strerror or str(error)
        raise InputError(f"{path} cannot be written: {words}") from error
    return array


def fill_geometry(
    out: np.ndarray,  # uint16 [H * W, 5]
    mesh: Mesh,
    camera: Camera,
    backend: Backend = "auto",
) -> tuple[np.ndarray, np.ndarray]:  # bool [H, W] each
    """Write what every pixel sees; returns where the mesh is hit, and where by one surface only."""
    fragments = rasterize(mesh.vertices, mesh.faces, camera, backend)
    surface = interpolate(fragments, mesh, camera)
    edge = edge_pixels(fragments, mesh, camera)[0].cpu().numpy()
    uv = surface.uv.reshape(-1, 2).cpu().numpy()
    normal = octahedral(surface.normal.reshape(-1, 3).cpu().numpy())
    out[:, :2] = np.rint(np.clip(uv, 0, 1) / UV_STEP)
    out[:, 2:4] = np.rint(normal / NORMAL_STEP).astype(np.int16).view(np.uint16)
    footprint = surface.footprint.reshape(-1).cpu().numpy()
    out[:, 4] = np.rint(np.clip(DENSITY_STEPS / np.maximum(footprint, 1e-9), 1, 65535))
    seen = (fragments.face_id[0] >= 0).cpu().numpy()
    return seen, seen & ~edge


def octahedral(directions: np.ndarray) -> np.ndarray:  # [N, 3] -> [N, 2] in [-1, 1]
    """Unit vectors folded onto a square (Cigolle et al., 2014); zero vectors become zero."""
    total = np.abs(directions).sum(axis=1, keepdims=True)
    flat = directions / np.maximum(total, 1e-12)
    folded = (1 - np.abs(flat[:, 1::-1])) * np.where(flat[:, :2] >= 0, 1, -1)
    return np.where(flat[:, 2:] < 0, folded, flat[:, :2])


def _pixel_to_direction(camera: Camera) -> np.ndarray:  # float32 [3, 3]
    """Homogeneous pixel coordinates to directions from the surface back to the camera."""
    rotation = camera.world_to_camera[0, :3, :3].double()
    matrix = -(rotation.T @ torch.linalg.inv(camera.intrinsics[0].double()))
    return matrix.cpu().numpy().astype(np.float32)


def _tiles(view: int, clean: np.ndarray) -> np.ndarray:  # bool [H, W] -> int32 [T, 3]
    height, width = clean.shape
    padded = np.pad(clean, ((0, -height % TILE), (0, -width % TILE)))
    blocks = padded.reshape(padded.shape[0] // TILE, TILE, padded.shape[1] // TILE, TILE)
    row, column = np.nonzero(blocks.any(axis=(1, 3)))
    return np.stack([np.full_like(row, view), row * TILE, column * TILE], axis=1).astype(np.int32)
