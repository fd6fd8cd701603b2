"""One view while somebody paints: only pixels that see changed texels are shaded again."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from dnr.asset import SUPERSAMPLING, Asset
from dnr.editing.texels import Rows
from dnr.geometry.cameras import Camera
from dnr.raster.samples import composite, shading_samples
from dnr.raster.surface import Surface
from dnr.renderers.pixel import PixelRenderer


class LiveView:
    """The picture of one view of an asset that is being painted (per-pixel renderers only)."""

    def __init__(self, asset: Asset, camera: Camera) -> None:  # a batch of one
        if not isinstance(asset.renderer, PixelRenderer):
            raise ValueError("asset must have a per-pixel renderer to be shown live")
        camera = camera.to(asset.mesh.vertices)
        samples = shading_samples(asset.mesh, camera, SUPERSAMPLING)
        if asset.turns is not None:
            samples = samples._replace(surface=asset.turns.undone(samples.surface, samples.face_id))
        self._asset, self._samples = asset, samples
        with torch.inference_mode():
            self._background = asset.backdrop.behind(camera)
            self._colour = asset.shade(samples)
        side = asset.texture.config.feature_sizes[-1]
        uv = samples.surface.uv.clamp(0, 1 - 1e-6)
        row, column = ((1 - uv[:, 1]) * side).long().clamp(max=side - 1), (uv[:, 0] * side).long()
        self._cell, self._side = (row * side + column).cpu().numpy(), side

    @property
    def image(self) -> Tensor:  # [1, 3, H, W] in [0, 1]
        """What the view shows."""
        return composite(self._samples, self._colour, self._background)

    @torch.inference_mode()
    def refresh(self, rows: Iterable[Rows]) -> int:
        """Shade anew what sees texels in `rows`, as writes report them; returns how many points."""
        touched = np.zeros((self._side, self._side), bool)
        finest = self._asset.config.texture.colour_size
        for level, top, left, values, _ in rows:
            texels = (finest >> level) // self._side  # of this level, per coarsest texel
            if texels < 1:
                raise ValueError(f"level must be one of the texture's, got {level}")
            height, width = values.shape[:2]
            last = -(-(top + height) // texels), -(-(left + width) // texels)
            # A lookup reaches half a texel beyond the window.
            touched[
                max(top // texels - 1, 0) : last[0] + 1, max(left // texels - 1, 0) : last[1] + 1
            ] = True
        chosen = torch.from_numpy(np.flatnonzero(touched.reshape(-1)[self._cell]))
        points = Surface(*(field[chosen] for field in self._samples.surface))
        part = self._samples._replace(surface=points)
        self._colour[chosen] = self._asset.shade(part)
        return len(chosen)
