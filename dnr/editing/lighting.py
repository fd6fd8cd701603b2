"""The light on every texel, as captured and as it is once parts stand elsewhere."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch
from torch.nn import functional

from dnr.asset import Asset
from dnr.editing.atlas import Atlas, build_atlas
from dnr.editing.coarse import brought_to, reduced
from dnr.editing.instances import BODY, Instances
from dnr.editing.light import Light, Points, shade
from dnr.editing.light_fit import find_light
from dnr.editing.neighbours import neighbour_texels
from dnr.geometry.meshes import Mesh
from dnr.renderers.directional import NORMAL_OFFSET
from dnr.renderers.pixel import PixelRenderer
from dnr.textures.pyramid import COLOURS

FINEST = 512
"""Texels a side; light changes slowly enough."""
MOST_PLACEMENTS = 4
"""Whose light is remembered, for undoing and for the operations after a move."""


class Lighting:
    """The light that is baked into an asset's colours, up to a scale per channel."""

    def __init__(self, asset: Asset, atlas: Atlas, colour: np.ndarray) -> None:  # [N, 3]
        self._asset, self._atlas, self._colour = asset, atlas, colour
        self._known: dict[bytes, np.ndarray] = {}

    def shading(self, instances: Instances, mesh: Mesh) -> np.ndarray:  # float32 [N, 3]
        """Light on every texel where the instances have it; `mesh` is what they make up.

        What several instances show is lit as the first of them is; what none shows, as captured.
        """
        key = b"".join(
            i.faces.tobytes() + i.matrix.tobytes() + str(i.shape is None).encode()
            for i in instances.values()
        )
        if key not in self._known:
            if len(self._known) >= MOST_PLACEMENTS:
                self._known.pop(next(iter(self._known)))
            light, leaning = self._found
            points = _standing(self._asset.mesh, self.coarse, leaning, instances)
            values = shade(light, mesh, points)
            self._known[key] = brought_to(self._atlas, self.coarse, values, np.ones(COLOURS))
        return self._known[key]

    @cached_property
    def coarse(self) -> Atlas:
        """The texels that light is worked out for."""
        return build_atlas(self._asset.mesh, min(self._atlas.size, FINEST))

    @cached_property
    def beside(self) -> np.ndarray:  # int64 [M, 4]
        """The neighbours of every coarse texel."""
        return neighbour_texels(self.coarse)

    @cached_property
    def _found(self) -> tuple[Light, np.ndarray]:
        """The light, and the normals that go with it."""
        known = self._colour.min(axis=1) > 0
        colour, _ = reduced(self._atlas, self.coarse, self._colour, known)
        return find_light(
            self._asset.mesh, self.coarse, colour, _leanings(self._asset, self.coarse)
        )


def lit_like_surroundings(
    shading: np.ndarray,  # [M, 3] of the texels that are painted
    colour: np.ndarray,  # [M, 3]
    share: np.ndarray,  # [M]
) -> np.ndarray:  # [M, 3]
    """The colour brighter and darker as the surface is; on average it shows as it was chosen."""
    mean = (shading * share[:, None]).sum(axis=0) / share.sum()
    return (colour * shading / mean).astype(np.float32)


def _leanings(asset: Asset, atlas: Atlas) -> list[np.ndarray]:  # float32 [N, 3] each
    """The mesh's normals and, where highlights have taught the renderer relief, those with it."""
    renderer = asset.renderer
    if not isinstance(renderer, PixelRenderer) or not renderer.config.lamps:
        return [atlas.normal]
    uv = torch.from_numpy(atlas.uv).to(asset.device)
    features = asset.texture.look_up(uv, torch.zeros(len(uv), 1).to(uv)).cpu()
    bend = features[:, COLOURS : COLOURS + NORMAL_OFFSET]
    leaning = functional.normalize(torch.from_numpy(atlas.normal) + bend, dim=1)
    return [atlas.normal, leaning.numpy()]


def _standing(mesh: Mesh, atlas: Atlas, leaning: np.ndarray, instances: Instances) -> Points:
    """Where the texels of the captured `mesh` are now."""
    points = Points(atlas.position.copy(), atlas.normal.copy(), leaning.copy(), atlas.spacing)
    placed = instances[BODY].faces[atlas.face] if BODY in instances else atlas.face < 0
    for name, instance in instances.items():
        own = instance.faces[atlas.face] & ~placed
        if name == BODY or not own.any():
            continue
        placed |= own
        points.position[own], points.normal[own] = instance.standing(atlas, mesh, own)
        turned = instance.shape is None
        points.leaning[own] = leaning[own] @ instance.rotation.T if turned else points.normal[own]
    return points
