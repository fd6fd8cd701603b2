"""Where an operation works: coordinates in a view or in the texture, and shapes drawn there."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dnr.editing.canvas import Canvas
from dnr.editing.fields import Fields
from dnr.editing.shapes import Outline, Shape, Stroke, circle, coverage


class Place(NamedTuple):
    """All texels as points of a plane: the picture of a view (pixels), or uv space."""

    points: np.ndarray  # float32 [N, 2]
    seen: np.ndarray  # float32 [N] in [0, 1]: how much the plane shows of them
    unit: np.ndarray  # float32 [N]: side of a texel
    is_uv: bool


def read_place(canvas: Canvas, fields: Fields, name: str = "view") -> Place:
    """The plane that an operation names: a view, or, by "space": "uv", the texture.

    A moved part or a copy is meant by its name, "on"; else each texel is where it is seen best.
    """
    if name in fields:
        camera, on = fields.camera(name, canvas.cameras), None
        if "on" in fields:
            on = fields.text("on")
            if on not in canvas.instances:
                fields.refuse(f"there is no part called {on!r}; name one that was moved or copied")
        view = canvas.view(camera, on)
        return Place(view.pixel, view.seen, view.texel_px, False)
    space = fields.any("space", "")
    if space != "uv":
        fields.refuse(f'{name} is missing; name a view, or give "space": "uv"')
    uv = canvas.atlas.uv
    ones = np.ones(len(uv), np.float32)
    return Place(uv, ones, ones / canvas.atlas.size, True)


def read_shape(fields: Fields, place: Place) -> list[Shape]:
    """The shape that an operation draws."""
    kind = fields.choice("shape", ("stroke", "circle", "rectangle", "polygon"))
    longest = 2.0 if place.is_uv else 1e5
    if kind == "stroke":
        radius = fields.number("radius", least=1e-6, most=longest)
        hardness = fields.number("hardness", 0.7, 0, 1)
        if "strokes" in fields:
            lines = fields.polylines("strokes", place.is_uv)
        else:
            lines = [fields.points("points", 1, place.is_uv)]
        return [Stroke(line, radius, hardness) for line in lines]
    feather = fields.number("feather", 0.0, 0, longest)
    if kind == "circle":
        centre = read_point(fields, "centre", place.is_uv)
        return [circle(centre, fields.number("radius", least=1e-6, most=longest), feather)]
    if kind == "polygon":
        return [Outline(fields.points("points", 3, place.is_uv), feather)]
    (x0, y0), (x1, y1) = fields.points("corners", 2, place.is_uv)[:2]
    return [Outline(np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float32), feather)]


def read_point(fields: Fields, name: str, is_uv: bool) -> np.ndarray:  # float64 [2]
    """One place of the plane."""
    low, high = (0.0, 1.0) if is_uv else (-1e5, 1e5)
    return fields.numbers(name, 2, low, high)


def drawn(shapes: list[Shape], place: Place) -> np.ndarray:  # float32 [N] in [0, 1]
    """How much of every texel the shapes cover, as far as the plane shows it."""
    covered = np.zeros(len(place.points), np.float32)
    for shape in shapes:
        covered = np.maximum(covered, coverage(shape, place.points, place.unit))
    return covered * place.seen


def texel_at(canvas: Canvas, fields: Fields, place: Place, name: str = "at") -> int:
    """The texel nearest to one place of the plane."""
    point = read_point(fields, name, place.is_uv)
    away = np.square(place.points - point).sum(axis=1)
    away[(place.seen <= 0) | ~canvas.atlas.inside] = np.inf
    texel = int(away.argmin())
    if not away[texel] <= (4 * place.unit[texel]) ** 2 + (0 if place.is_uv else 4):
        fields.refuse(f"{name} is beside the surface; choose a place that shows it")
    return texel
