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
from dnr.editing.instances import Instances, all_in_place
from dnr.editing.lighting import Lighting
from dnr.editing.neighbours import neighbour_texels
from dnr.editing.projection import Projection, project
from dnr.editing.response import Response, response, trained_over_photographed
from dnr.editing.texels import Rows, add_colour, add_features, finest_colours, restore
from dnr.geometry.cameras import Camera
from dnr.geometry.meshes import Mesh
from dnr.raster.turns import Turns
from dnr.renderers.pixel import PixelRenderer
from dnr.textures.pyramid import COLOURS

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
        self.captured: np.ndarray = diffuse.reshape(-1, 3)[index].astype(np.float32) / 255
        """Photographed, without highlights; black where no photo looked."""
        trained = trained.reshape(-1, 3)[index]
        if isinstance(asset.renderer, PixelRenderer):
            found = response(asset, self.atlas, list(cameras.values()))
        else:
            ratio = trained_over_photographed(trained, self.captured, self.atlas)
            found = Response(1 / ratio, np.zeros_like(trained))
        self.scale, offset = found
        self.shown: np.ndarray = trained * self.scale[:, None] + offset
        self.first_shown = self.shown.copy()
        self.part_of_face: np.ndarray = parts(asset.mesh)
        self.part: np.ndarray = self.part_of_face[self.atlas.face]
        self.instances: Instances = all_in_place(asset.mesh)
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
    def lighting(self) -> Lighting:
        """The light that is baked into the captured colours."""
        known = self.captured.min(axis=1) > 0
        colour = np.where(known[:, None], self.captured, self.first_shown)
        return Lighting(self.original, self.atlas, colour)

    @property
    def shading(self) -> np.ndarray:  # float32 [N, 3]
        """The light on every texel where it stands now, up to a scale."""
        return self.lighting.shading(self.instances, self.asset.mesh)

    @property
    def standing(self) -> np.ndarray:  # bool [N]
        """Texels of faces that are still there."""
        return np.any([i.faces for i in self.instances.values()], axis=0)[self.atlas.face]

    def view(self, camera: Camera, on: str | None = None) -> Projection:
        """The texels in a view, where one instance has them; remembered, as strokes come in series.

        Without `on`, each texel is where the instance that is seen best has it.
        """
        key = b"".join(
            x.cpu().numpy().tobytes() for x in (camera.world_to_camera, camera.intrinsics)
        )
        key += f"{camera.size} {on}".encode()
        if key not in self._projections:
            if len(self._projections) >= MOST_PROJECTIONS:
                self._projections.pop(next(iter(self._projections)))
            self._projections[key] = self._project(camera, on)
        return self._projections[key]

    def place(self, instances: Instances, mesh: Mesh, turns: Turns | None) -> None:
        """Let parts stand elsewhere: `mesh` is what the instances make up."""
        self.instances, self.asset.mesh, self.asset.turns = instances, mesh, turns
        self._projections.clear()

    def _project(self, camera: Camera, on: str | None) -> Projection:
        best: Projection | None = None
        for name, instance in self.instances.items():
            if on not in (None, name):
                continue
            position, normal = instance.standing(self.atlas, self.original.mesh)
            there = self.atlas._replace(
                position=position, normal=normal, spacing=self.atlas.spacing * instance.scale
            )
            found = project(there, self.asset.mesh, camera)
            seen = found.seen * instance.faces[self.atlas.face]
            if best is None:
                best = found._replace(seen=seen)
            better = seen > best.seen
            best = Projection(
                np.where(better[:, None], found.pixel, best.pixel),
                np.where(better, seen, best.seen),
                np.where(better, found.texel_px, best.texel_px),
            )
        assert best is not None
        return best

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

    def features(self, atlas: Atlas, texels: np.ndarray) -> np.ndarray:  # float32 [M, C - 3]
        """What only the renderer reads, at some texels of any atlas of the captured mesh."""
        uv = torch.from_numpy(atlas.uv[texels]).to(self.asset.device)
        found = self.asset.texture.look_up(uv, torch.zeros(len(uv), 1).to(uv))
        return found[:, COLOURS:].cpu().numpy()

    def write_features(self, texels: np.ndarray, change: np.ndarray) -> None:
        """Add `change` [M, C - 3] to what only the renderer reads."""
        atlas, side = self.atlas, self.asset.config.texture.size
        step = atlas.size // side
        image = np.zeros((len(atlas.index), change.shape[1]), np.float32)
        image[texels] = change
        image = atlas.image(np.concatenate([image, np.ones((len(image), 1), np.float32)], axis=1))
        sums = image.reshape(side, step, side, step, -1).sum(axis=(1, 3))
        mean = sums[..., :-1] / np.maximum(sums[..., -1:], 1)
        rows = add_features(self.asset.texture, mean, sums[..., -1] > 0)
        nothing = np.zeros(0, np.int64)
        where, flat = self._diffuse_rows(nothing)
        self.history.append(Before(rows, nothing, self.shown[nothing], flat[where]))

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
