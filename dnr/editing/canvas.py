"""A copy of an asset under edit: its colour as a list of texels, and what has been named on it."""

from __future__ import annotations

import copy
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from dnr.asset import Asset
from dnr.editing.atlas import Atlas, build_atlas, parts
from dnr.editing.lighting import estimate_shading
from dnr.editing.neighbours import neighbour_texels
from dnr.editing.projection import Projection, project
from dnr.editing.response import Response, response, trained_over_photographed
from dnr.editing.texels import Rows, add_colour, finest_colours, restore
from dnr.geometry.cameras import Camera
from dnr.renderers.pixel import PixelRenderer

MOST_PROJECTIONS = 8
"""Views whose projections are kept; each takes 16 bytes per texel."""


class Before(NamedTuple):
    """What one write has replaced."""

    rows: list[Rows]
    texels: np.ndarray  # int64 [M]
    shown: np.ndarray  # float32 [M, 3]
    diffuse: Tensor  # uint8 [M, 3]


class Canvas:
    """What operations read and change. Lists of N go with `atlas`.

    Colours are in the unit of paint: as displayed, without highlights. A change of the texture's
    colour shows times `scale`.
    """

    def __init__(self, asset: Asset, cameras: dict[str, Camera], folder: Path) -> None:
        self.original, self.asset = asset, copy.deepcopy(asset)
        self.cameras, self.folder = cameras, folder
        size = asset.config.texture.colour_size
        self.atlas: Atlas = build_atlas(asset.mesh, size)
        self.known = self.atlas.slot.reshape(size, size) >= 0
        trained = finest_colours(self.asset.texture)
        diffuse = asset.diffuse.cpu().numpy()
        index = self.atlas.index
        trained = trained.reshape(-1, 3)[index]
        if isinstance(asset.renderer, PixelRenderer):
            found = response(asset, self.atlas, list(cameras.values()))
        else:
            ratio = trained_over_photographed(trained, diffuse.reshape(-1, 3)[index], self.atlas)
            found = Response(1 / ratio, np.zeros_like(trained))
        self.scale, offset = found
        self.shown: np.ndarray = trained * self.scale[:, None] + offset
        self.first_shown = self.shown.copy()
        self.captured: np.ndarray = diffuse.reshape(-1, 3)[index].astype(np.float32) / 255
        """Photographed, without highlights; black where no photo looked."""
        self.part: np.ndarray = parts(asset.mesh)[self.atlas.face]
        self.selections: dict[str, np.ndarray] = {}
        self.labels: dict[str, int] = {}
        self.label: np.ndarray = np.zeros(len(index), np.uint8)
        self.history: list[Before] = []
        """All writes so far, oldest first."""
        self._projections: dict[bytes, Projection] = {}

    @cached_property
    def beside(self) -> np.ndarray:  # int64 [N, 4]
        """The neighbours of every texel, as captured: moving a part apart changes no neighbour."""
        return neighbour_texels(self.atlas)

    @cached_property
    def shading(self) -> np.ndarray:  # float32 [N, 3]
        """The light that is baked into the captured colours, up to a scale."""
        known = self.captured.min(axis=1) > 0
        return estimate_shading(
            self.original, self.atlas, np.where(known[:, None], self.captured, self.first_shown)
        )

    def view(self, camera: Camera) -> Projection:
        """The texels in a view; remembered, because strokes come in series."""
        key = b"".join(
            x.cpu().numpy().tobytes() for x in (camera.world_to_camera, camera.intrinsics)
        )
        key += str(camera.size).encode()
        if key not in self._projections:
            if len(self._projections) >= MOST_PROJECTIONS:
                self._projections.pop(next(iter(self._projections)))
            self._projections[key] = project(self.atlas, self.asset.mesh, camera)
        return self._projections[key]

    def moved(self) -> None:
        """Forget what depends on where the mesh is."""
        self._projections.clear()

    def write(self, texels: np.ndarray, colour: np.ndarray) -> None:
        """Set the colour of some texels (int64 [M]) to `colour` [M, 3]; the rest stays bit by bit.

        Texels that would not change are left out.
        """
        change = colour.astype(np.float32) - self.shown[texels]
        kept = (change != 0).any(axis=1)
        texels, change = texels[kept], change[kept]
        if not len(texels):
            return
        size = self.atlas.size
        image = np.zeros((size * size, 3), np.float32)
        image[self.atlas.index[texels]] = change / self.scale[texels, None]
        where, flat = self._diffuse_rows(texels)
        before = texels, self.shown[texels], flat[where]
        rows = add_colour(self.asset.texture, image.reshape(size, size, 3), self.known)
        self.history.append(Before(rows, *before))
        self.shown[texels] += change
        # The photographed colour follows the paint, so that later edits find it there.
        new = before[2].float() + 255 * torch.from_numpy(change).to(where.device)
        flat[where] = new.clamp(0, 255).round().to(torch.uint8)

    def blend(self, texels: np.ndarray, colour: np.ndarray, share: np.ndarray) -> None:
        """Mix `colour` [M, 3] into some texels by `share` [M] in [0, 1]."""
        old = self.shown[texels]
        self.write(texels, old + share[:, None].astype(np.float32) * (colour - old))

    def rewind(self, length: int) -> None:
        """Take back all writes but the first `length`, bit by bit."""
        while len(self.history) > length:
            rows, texels, shown, diffuse = self.history.pop()
            restore(self.asset.texture, rows)
            self.shown[texels] = shown
            where, flat = self._diffuse_rows(texels)
            flat[where] = diffuse

    def _diffuse_rows(self, texels: np.ndarray) -> tuple[Tensor, Tensor]:
        diffuse = self.asset.diffuse
        return torch.from_numpy(self.atlas.index[texels]).to(diffuse.device), diffuse.view(-1, 3)
