"""Light that is baked into the colour: how bright the surface would be if it were all white.

Model: a few dozen far lamps around the object and light from everywhere. Each lamp lights by the
cosine to the normal, so the unknowns are colours of lamps, none negative. Neighbours and texels of
like hue mostly share their paint, so ratios between them are ratios of light; where they are not,
a robust loss leaves them out. Scale stays unknown, and cast shadows are not in the model.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial import KDTree
from torch import Tensor
from torch.nn import functional

from dnr.asset import Asset
from dnr.editing.atlas import Atlas
from dnr.renderers.directional import NORMAL_OFFSET
from dnr.renderers.pixel import PixelRenderer
from dnr.textures.pyramid import COLOURS

LAMPS = 48
PAIRS = 30_000
REACHES = (6.0, 30.0, 80.0)
"""Texels between the two of a pair; a last set of pairs is chosen by hue instead."""
HUE_REACH = 0.0025
ROBUST = 0.05
"""Ratios that miss the model by more than about this count little."""
STEPS, BATCH, RATE = 250, 4096, 0.05
LEAST = 0.03
"""Darker colour is noise in the logarithm."""
CANDIDATES = 40_000


def estimate_shading(asset: Asset, atlas: Atlas, colour: np.ndarray) -> np.ndarray:
    """Light [N, 3] on every texel, up to a scale per channel, from its colour [N, 3]; mean 1.

    With the per-pixel renderer also from the normals and lamps that highlights have taught it, if
    these explain the colours better than the mesh's normals and lamps all around.
    """
    usable = np.flatnonzero(atlas.inside & (colour.min(axis=1) > LEAST))
    if len(usable) < BATCH:
        return np.ones_like(colour)
    rng = np.random.default_rng(0)
    pairs = _pairs(atlas, colour, usable, rng)
    logs = torch.from_numpy(np.log(np.maximum(colour, LEAST)).astype(np.float32))
    fits = [_fit(normals, lamps, logs, pairs) for normals, lamps in _models(asset, atlas)]
    shading, _ = min(fits, key=lambda fit: fit[1])
    shading = shading.numpy()
    return shading / shading[usable].mean(axis=0)


def lit_like_surroundings(
    shading: np.ndarray,  # [M, 3] of the texels that are painted
    colour: np.ndarray,  # [M, 3]
    share: np.ndarray,  # [M]
) -> np.ndarray:  # [M, 3]
    """The colour brighter and darker as the surface is; on average it shows as it was chosen."""
    mean = (shading * share[:, None]).sum(axis=0) / share.sum()
    return (colour * shading / mean).astype(np.float32)


def _models(asset: Asset, atlas: Atlas) -> list[tuple[Tensor, Tensor]]:
    """Normals [N, 3] and directions to lamps [K, 3]: plain ones, and those the renderer learned."""
    normals = torch.from_numpy(atlas.normal)
    models = [(normals, _lattice(LAMPS))]
    renderer = asset.renderer
    if isinstance(renderer, PixelRenderer) and renderer.config.lamps:
        uv = torch.from_numpy(atlas.uv).to(asset.device)
        features = asset.texture.look_up(uv, torch.zeros(len(uv), 1).to(uv)).cpu()
        bend = features[:, COLOURS : COLOURS + NORMAL_OFFSET]
        axes, _ = renderer.lamps()
        models.append((functional.normalize(normals + bend, dim=1), axes.detach().cpu()))
    return models


def _pairs(
    atlas: Atlas, colour: np.ndarray, usable: np.ndarray, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:  # int64 each
    """Texels beside each other at several distances, and texels of one hue anywhere."""
    candidates = rng.choice(usable, min(CANDIDATES, len(usable)), replace=False)
    first, second = [], []
    tree = KDTree(atlas.position[candidates])
    for reach in REACHES:
        own = rng.choice(usable, PAIRS)
        place = atlas.position[own] + rng.normal(size=(PAIRS, 3)) * reach * atlas.spacing
        first.append(own)
        second.append(candidates[tree.query(place)[1]])
    hue = colour / colour.sum(axis=1, keepdims=True).clip(LEAST)
    tree = KDTree(hue[candidates])
    own = rng.choice(usable, 3 * PAIRS)
    place = hue[own] + rng.normal(size=(len(own), 3)) * HUE_REACH
    first.append(own)
    second.append(candidates[tree.query(place)[1]])
    return torch.from_numpy(np.concatenate(first)), torch.from_numpy(np.concatenate(second))


def _fit(
    normals: Tensor, axes: Tensor, logs: Tensor, pairs: tuple[Tensor, Tensor]
) -> tuple[Tensor, float]:
    """Shading [N, 3] for these normals, and how badly it explains the pairs."""
    generator = torch.Generator().manual_seed(0)
    raw = torch.full((len(axes) + 1, COLOURS), -3.0)
    raw[-1] = 0.5  # light from everywhere
    raw.requires_grad_()
    adam = torch.optim.Adam([raw])

    def shaded(where: Tensor) -> Tensor:
        lamps = functional.softplus(raw)
        return (normals[where] @ axes.T).clamp(min=0) @ lamps[:-1] + lamps[-1]

    def missed(first: Tensor, second: Tensor) -> Tensor:
        light = (shaded(first) / shaded(second)).log()
        error = (logs[first] - logs[second] - light).square().sum(dim=1)
        return torch.log1p(error / ROBUST**2).mean()

    for number in range(STEPS):
        chosen = torch.randint(len(pairs[0]), (BATCH,), generator=generator)
        adam.param_groups[0]["lr"] = RATE * (1.02 - number / STEPS)
        adam.zero_grad()
        missed(pairs[0][chosen], pairs[1][chosen]).backward()
        adam.step()
    with torch.no_grad():
        everywhere = torch.arange(len(normals))
        return shaded(everywhere), float(missed(*pairs))


def _lattice(count: int) -> Tensor:  # [count, 3]
    """Directions spread evenly (Fibonacci)."""
    index = torch.arange(count) + 0.5
    z = 1 - 2 * index / count
    turn = torch.pi * (1 + 5**0.5) * index
    ring = (1 - z * z).sqrt()
    return torch.stack([ring * turn.cos(), ring * turn.sin(), z], dim=1)
