"""Which texels an operation may change: a share for each, made by many means and combined."""

from __future__ import annotations

from collections import deque

import numpy as np
from scipy.spatial import KDTree
from skimage.color import deltaE_ciede2000, rgb2lab

from dnr.editing.canvas import Canvas
from dnr.editing.fields import Fields
from dnr.editing.places import drawn, read_place, read_shape, texel_at

KINDS = (
    "all", "saved", "shape", "chart", "part", "colour", "normal", "height", "label", "any", "both",
    "views",
)  # fmt: skip
STEP = 0.5
"""Where a soft selection counts as selected, for growing and for telling whether it is empty."""


def read_selection(canvas: Canvas, fields: Fields, name: str = "select") -> np.ndarray:
    """The share [N] in [0, 1] of every texel that may change; all of them without `name`.

    An empty selection is refused.
    """
    if name not in fields:
        return np.ones(len(canvas.atlas.index), np.float32)
    value = fields.any(name)
    if isinstance(value, str):
        share = _saved(canvas, fields, value)
    else:
        part = fields.part(name)
        assert part is not None
        share = select(canvas, part)
    if not share.max(initial=0) > 0.01:
        fields.refuse(f"{name} is empty: no texel of the surface is in it")
    return share


def select(canvas: Canvas, fields: Fields) -> np.ndarray:  # float32 [N]
    """The selection that one object describes, with what is asked of its rim."""
    kind = fields.choice("by", KINDS)
    share = _selected(canvas, fields, kind).astype(np.float32)
    unit = canvas.asset.mesh.diameter()  # lengths are given as shares of the object's size
    for name, sign in (("grow", 1), ("shrink", -1)):
        if name in fields:
            share = moved_rim(canvas, share, sign * fields.number(name, None, 0, 1) * unit, 0.0)
    if "feather" in fields and kind != "shape":  # drawn shapes have their own, in pixels
        share = moved_rim(canvas, share, 0.0, fields.number("feather", None, 0, 1) * unit)
    if fields.flag("invert", False):
        share = 1 - share
    fields.done()
    return share


def moved_rim(canvas: Canvas, share: np.ndarray, by: float, feather: float) -> np.ndarray:
    """The selection with its rim moved outwards by a length, then fading over twice `feather`.

    Distances are straight lines between texels, in which a turned normal counts as a detour: the
    rim goes over seams of the texture, but not through a thin wall.
    """
    inside = share > STEP
    reach = abs(by) + feather
    if inside.all() or not inside.any() or reach <= 0:
        return share
    atlas = canvas.atlas
    space = np.concatenate([atlas.position, atlas.normal * reach], axis=1)
    # Only texels beside the other kind can be the nearest ones of it.
    beside = canvas.beside
    at_rim = ((inside[beside] != inside[:, None]) & (beside >= 0)).any(axis=1)
    distance = np.full(len(inside), np.inf, np.float32)
    for side in (True, False):
        sources, targets = at_rim & (inside == side), inside != side
        if sources.any() and targets.any():
            tree = KDTree(space[sources])
            distance[targets] = tree.query(space[targets], distance_upper_bound=reach * 3)[0]
    signed = np.where(inside, distance, -distance) + by
    if feather <= 0:
        return (signed > 0).astype(np.float32)
    ramp = np.clip(0.5 + signed / (2 * feather), 0, 1)
    return (ramp * ramp * (3 - 2 * ramp)).astype(np.float32)


def _selected(canvas: Canvas, fields: Fields, kind: str) -> np.ndarray:
    if kind == "all":
        return np.ones(len(canvas.atlas.index))
    if kind == "saved":
        return _saved(canvas, fields, fields.text("name"))
    if kind == "shape":
        place = read_place(canvas, fields)
        return drawn(read_shape(fields, place), place)
    if kind in ("chart", "part"):
        numbers = canvas.atlas.chart if kind == "chart" else canvas.part
        if "number" in fields:
            return numbers == fields.number("number", None, 0)
        return numbers == numbers[texel_at(canvas, fields, read_place(canvas, fields))]
    if kind == "colour":
        return _alike(canvas, fields)
    if kind == "normal":
        direction = fields.numbers("direction", 3)
        length = np.linalg.norm(direction)
        if length == 0:
            fields.refuse("direction must not be zero")
        cosine = np.cos(np.deg2rad(fields.number("within_deg", 30, 0, 180)))
        return canvas.atlas.normal @ (direction / length) >= cosine
    if kind == "height":
        along = canvas.atlas.position[:, "xyz".index(fields.choice("axis", ("x", "y", "z"), "z"))]
        low = fields.number("from", float(along.min()))
        return (along >= low) & (along <= fields.number("to", float(along.max())))
    if kind == "label":
        name = fields.text("name")
        if name not in canvas.labels:
            fields.refuse(f"there is no label {name!r} yet; paint it by an operation before")
        return canvas.label == canvas.labels[name]
    if kind == "views":
        return _in_all_views(canvas, fields)
    shares = [select(canvas, part) for part in fields.parts("of")]
    return np.max(shares, axis=0) if kind == "any" else np.min(shares, axis=0)


def _in_all_views(canvas: Canvas, fields: Fields) -> np.ndarray:
    """What lies inside of the shape in every view that sees it: lassos around a whole thing.

    What stands behind the thing is seen beside it from elsewhere, and so is left out. What no view
    sees must lie inside, or be hidden inside, in all of them.
    """
    seen_inside, inside = np.full((2, len(canvas.atlas.index)), np.inf, np.float32)
    for part in fields.parts("of"):
        place = read_place(canvas, part)
        everything = place._replace(seen=np.ones_like(place.seen))
        covered = drawn(read_shape(part, place), everything)
        part.done()
        inside = np.minimum(inside, covered)
        sees = place.seen > STEP
        seen_inside[sees] = np.minimum(seen_inside[sees], covered[sees])
    return np.where(np.isfinite(seen_inside), seen_inside, inside)


def _saved(canvas: Canvas, fields: Fields, name: str) -> np.ndarray:
    if name not in canvas.selections:
        fields.refuse(f"no selection is saved as {name[:60]!r}; save it by an operation before")
    return canvas.selections[name]


def _alike(canvas: Canvas, fields: Fields) -> np.ndarray:
    """Texels whose colour is near a given one, or near that of a place, then optionally joined."""
    start = None
    if "at" in fields:
        start = texel_at(canvas, fields, read_place(canvas, fields))
        wanted = canvas.shown[start]
    else:
        wanted = fields.colour("colour")
    tolerance = fields.number("tolerance", 8, 0, 200)
    lab = rgb2lab(np.clip(canvas.shown, 0, 1))
    alike = deltaE_ciede2000(lab, rgb2lab(np.clip(wanted, 0, 1)[None])) <= tolerance
    if not fields.flag("joined", False):
        return alike
    if start is None:
        fields.refuse('"joined" needs a place to begin at; give "at"')
    return _joined(canvas, alike, start)


def _joined(canvas: Canvas, where: np.ndarray, start: int) -> np.ndarray:
    """The texels of `where` that can be reached from `start`, over seams too."""
    beside = canvas.beside
    found = np.zeros(len(where), bool)
    found[start] = True
    front = deque([np.array([start])])
    while front:
        texels = np.unique(beside[front.popleft()])
        texels = texels[texels >= 0]
        texels = texels[where[texels] & ~found[texels]]
        found[texels] = True
        if len(texels):
            front.append(texels)
    return found[canvas.atlas.owner]  # gutters show what they copy
