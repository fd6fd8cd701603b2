"""Operations that take colour from elsewhere: clone, heal, copy from another asset, erase."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.spatial import KDTree

from dnr.editing.canvas import Canvas
from dnr.editing.fields import Fields
from dnr.editing.places import Place, drawn, read_place, read_point, read_shape
from dnr.editing.poisson import MOST_UNKNOWNS, solved
from dnr.editing.selections import STEP, read_selection

NEIGHBOURS = 4
"""Source texels that are averaged, by nearness in the plane, into one of the destination."""
REACH = 2.0
"""Texels; farther from any source texel there is nothing to copy."""


class Source(NamedTuple):
    """Where the colour of each destination texel comes from."""

    texels: np.ndarray  # int64 [M], destination
    near: np.ndarray  # int64 [M, NEIGHBOURS], texels of the source
    weight: np.ndarray  # float32 [M, NEIGHBOURS], summing to one
    share: np.ndarray  # float32 [M]


def clone(canvas: Canvas, fields: Fields) -> None:
    """Colour from another place, with the light of this one ("keep") or as it is ("flat")."""
    lighting = fields.choice("lighting", ("keep", "flat"), "keep")
    source = _read_source(canvas, fields)
    colour = _copied(canvas, source, lighting)
    canvas.blend(source.texels, colour, source.share)


def heal(canvas: Canvas, fields: Fields) -> None:
    """Detail from another place, fitted to the colour all around: no seam is left."""
    source = _read_source(canvas, fields)
    _check_size(fields, source.texels)
    # Ratios of colour survive a change of light, so the fitting is done on logarithms.
    logs = np.log(np.maximum(canvas.shown, 1e-3))
    guide = logs.copy()
    guide[source.texels] = np.log(np.maximum(_copied(canvas, source, "keep"), 1e-3))
    inside, texels = _inner(canvas, source)
    filled = logs.copy()
    filled[inside] = solved(canvas.beside, inside, logs, guide)
    canvas.blend(
        texels, np.exp(filled[canvas.atlas.owner[texels]]), _shares(canvas, source)[texels]
    )


def erase(canvas: Canvas, fields: Fields) -> None:
    """What is there disappears: the colour runs in smoothly from all around."""
    share = read_selection(canvas, fields) * fields.number("opacity", 1.0, 0, 1)
    lighting = fields.choice("lighting", ("keep", "flat"), "keep")
    if "view" in fields or "space" in fields:
        place = read_place(canvas, fields)
        share = share * drawn(read_shape(fields, place), place)
    elif "select" not in fields:
        fields.refuse("select is missing; say what to erase")
    fields.done()
    texels = np.flatnonzero(share > 0)
    if not len(texels):
        fields.refuse("it erases nothing: the surface is not seen there, or nothing is selected")
    canvas.blend(texels, smoothed_in(canvas, fields, texels, lighting), share[texels])


def smoothed_in(
    canvas: Canvas, fields: Fields, texels: np.ndarray, lighting: str
) -> np.ndarray:  # [M, 3]
    """Colours of some texels as their surroundings suggest, lit ("keep") or not ("flat")."""
    _check_size(fields, texels)
    light = np.maximum(canvas.shading, 1e-3) if lighting == "keep" else np.ones_like(canvas.shown)
    logs = np.log(np.maximum(canvas.shown, 1e-3) / light)
    inside = np.unique(canvas.atlas.owner[texels])
    filled = logs.copy()
    filled[inside] = solved(canvas.beside, inside, logs, np.zeros_like(logs))
    return np.exp(filled[canvas.atlas.owner[texels]]) * light[texels]


def _read_source(canvas: Canvas, fields: Fields) -> Source:
    """Destination: a shape in a plane. Source: the same shape moved by from - to, turned, scaled.

    The source may lie in another plane ("from_view"), then "from" is a place there.
    """
    place = read_place(canvas, fields)
    covered = drawn(read_shape(fields, place), place)
    share = covered * read_selection(canvas, fields) * fields.number("opacity", 1.0, 0, 1)
    other = read_place(canvas, fields, "from_view") if "from_view" in fields else place
    start = read_point(fields, "from", other.is_uv)
    end = read_point(fields, "to", place.is_uv)
    angle = np.deg2rad(fields.number("turn_deg", 0.0, -360, 360))
    scale = fields.number("scale", 1.0, 0.01, 100)
    fields.done()
    texels = np.flatnonzero(share > 0)
    if not len(texels):
        fields.refuse("it changes nothing: the surface is not seen there, or nothing is selected")
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / scale
    wanted = (place.points[texels] - end) @ turn.T + start
    source = _nearest(other, wanted)
    if source is None:
        fields.refuse("the place to copy from shows no surface; choose another")
    near, weight, found = source
    return Source(texels[found], near, weight, share[texels][found])


def _nearest(place: Place, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """The seen texels nearest to places of the plane, their weights, and which places have any."""
    low, high = wanted.min(axis=0), wanted.max(axis=0)
    margin = 4 * float(np.median(place.unit))
    box = ((place.points >= low - margin) & (place.points <= high + margin)).all(axis=1)
    seen = np.flatnonzero(box & (place.seen > STEP))
    if len(seen) < NEIGHBOURS:
        return None
    away, near = (np.asarray(x) for x in KDTree(place.points[seen]).query(wanted, k=NEIGHBOURS))
    unit = place.unit[seen[near[:, 0]]]
    found = away[:, 0] <= REACH * np.maximum(unit, 1e-9)
    if not found.any():
        return None
    weight = 1 / np.maximum(away[found] / unit[found, None], 0.05) ** 2
    weight[away[found] > 2 * REACH * unit[found, None]] = 0
    weight /= weight.sum(axis=1, keepdims=True)
    return seen[near[found]], weight.astype(np.float32), found


def _copied(canvas: Canvas, source: Source, lighting: str) -> np.ndarray:  # [M, 3]
    colour = canvas.shown[source.near]
    if lighting == "keep":
        light = np.maximum(canvas.shading, 1e-3)
        colour = colour * (light[source.texels][:, None] / light[source.near])
    return (colour * source.weight[..., None]).sum(axis=1)


def _inner(canvas: Canvas, source: Source) -> tuple[np.ndarray, np.ndarray]:
    """Texels to solve for (none in gutters), and all that show them."""
    inside = np.unique(canvas.atlas.owner[source.texels])
    has_source = np.zeros(len(canvas.shown), bool)
    has_source[source.texels] = True
    inside = inside[has_source[inside]]
    solving = np.zeros(len(canvas.shown), bool)
    solving[inside] = True
    return inside, source.texels[solving[canvas.atlas.owner[source.texels]]]


def _shares(canvas: Canvas, source: Source) -> np.ndarray:  # [N]
    share = np.zeros(len(canvas.shown), np.float32)
    share[source.texels] = source.share
    return share


def _check_size(fields: Fields, texels: np.ndarray) -> None:
    if len(texels) > MOST_UNKNOWNS:
        fields.refuse(
            f"it covers {len(texels)} texels, more than the {MOST_UNKNOWNS} that are solved for at "
            "once; divide it"
        )
