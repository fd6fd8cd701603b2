"""Shadows that go, come and move with the parts that cast them."""

from __future__ import annotations

import numpy as np

from dnr.editing.canvas import Canvas
from dnr.editing.coarse import brought_to, reduced
from dnr.editing.lighting import Lighting
from dnr.editing.poisson import WHISPER, solved

LEAST_CHANGE = 0.01
"""Of the logarithm of light; less is left alone."""
MOST_GAIN = 15.0
"""Colour that gets more light than this was too dark to be known: it is filled in."""
RIM = 0.06
"""Change of light from one texel to the next at which its error is as large as the differences of
paint; there these are smoothed over."""
LEAST_COLOUR, LEAST_LIGHT = 0.01, 0.03
"""Darker colour, or colour that is darker lit (the mean is one), says nothing about paint."""
LEAST_TRUST = 0.5
"""Share of a coarse texel that must be known."""
HOLD = 0.03
"""How much paint is trusted over long ways, that is farther than a rim is wide."""
DARKEST = 1e-3


def relight(
    canvas: Canvas,
    before: np.ndarray,  # float32 [N, 3] light on every texel, while colours are still lit so
    unknown: np.ndarray,  # bool [N]: colour that says nothing, to be filled in
) -> None:
    """Light every texel as it stands now.

    Paint without light is what colour and the estimated light give. Where the light has changed,
    its differences between neighbours count, but not at rims of shadows, nor where it was too dark
    to see: there it runs in smoothly from around. So errors of the light leave no ghost of a
    shadow. The smoothing is done on the coarse atlas of the light.
    """
    atlas, coarse = canvas.atlas, canvas.lighting.coarse
    after, here = canvas.shading, canvas.standing
    change = np.log(after / before)
    dark = unknown | (canvas.captured.max(axis=1) < LEAST_COLOUR)
    dark |= (change.max(axis=1) > np.log(MOST_GAIN)) | (before.max(axis=1) < LEAST_LIGHT)
    paint = np.log(np.maximum(canvas.shown, DARKEST) / before)
    as_is, _ = reduced(atlas, coarse, paint, here)
    rough, trust = reduced(atlas, coarse, paint, here & ~dark)
    fresh, rough = trust < LEAST_TRUST, np.where(trust[:, None] > 0, rough, as_is)
    light, stands = reduced(atlas, coarse, change, here)
    asked, _ = reduced(atlas, coarse, unknown[:, None], here)
    touched = (np.abs(light).max(axis=1) > LEAST_CHANGE) | (asked[:, 0] > 0)
    touched &= stands > 0
    if not touched.any():
        return
    filled = _smoothed(canvas.lighting, rough, light, fresh, touched)

    def brought(values: np.ndarray) -> np.ndarray:
        return brought_to(atlas, coarse, values.astype(np.float32), np.zeros(values.shape[1]))

    share = np.clip(2 * brought(fresh[:, None]), 0, 1)
    paint = paint + brought(np.where(fresh[:, None], 0, filled - rough))
    paint = paint + share * (brought(filled) - paint)
    texels = np.flatnonzero(here & (brought(touched[:, None])[:, 0] > 0))
    canvas.write(texels, np.exp(paint[texels]) * after[texels])


def _smoothed(
    lighting: Lighting,
    paint: np.ndarray,  # float32 [M, 3], logarithm
    light: np.ndarray,  # float32 [M, 3], change of its logarithm
    fresh: np.ndarray,  # bool [M]: paint is unknown
    touched: np.ndarray,  # bool [M]: to be solved for
) -> np.ndarray:  # float32 [M, 3]
    """The paint with its differences where they can be trusted, and smooth where not."""
    coarse, beside = lighting.coarse, lighting.beside
    inside = np.unique(coarse.owner[touched])
    # Places that are too dark to say anything are no rim to start from.
    beside = np.where((fresh & ~touched)[beside], -1, beside)
    near = beside[inside]
    step = np.abs(light[inside][:, None] - light[near]).max(axis=2)
    heed = np.exp(-np.square(step / RIM)) * ~(fresh[inside][:, None] | fresh[near])
    out = paint.copy()
    hold = np.where(fresh[inside], WHISPER, HOLD)
    out[inside] = solved(beside, inside, paint, paint, heed, hold)
    return out[coarse.owner]
