"""Operations that put colour on the surface: paint, fill, gradients, text, pictures, hues."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from skimage.color import deltaE_ciede2000, rgb2lab

from dnr.editing.canvas import Canvas
from dnr.editing.fields import Fields
from dnr.editing.lighting import lit_like_surroundings
from dnr.editing.pictures import read_picture, text_picture
from dnr.editing.places import drawn, read_place, read_point, read_shape
from dnr.editing.selections import read_selection
from dnr.editing.shapes import sampled

HUE_PLANE = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
"""RGB to YIQ: turning the last two turns the hue and keeps the brightness."""


class Coat(NamedTuple):
    """What a painting operation puts on some texels."""

    colour: np.ndarray  # float32 [N, 3]
    share: np.ndarray  # float32 [N] in [0, 1]


def paint(canvas: Canvas, fields: Fields) -> None:
    """Strokes or a filled shape in one colour."""
    place = read_place(canvas, fields)
    share = drawn(read_shape(fields, place), place)
    colour = fields.colour("colour")
    _apply(canvas, fields, Coat(np.broadcast_to(colour, (len(share), 3)), share), "keep")


def fill(canvas: Canvas, fields: Fields) -> None:
    """One colour over a whole selection."""
    if "select" not in fields:
        fields.refuse("select is missing; say what to fill")
    count = len(canvas.atlas.index)
    colour = np.broadcast_to(fields.colour("colour"), (count, 3))
    _apply(canvas, fields, Coat(colour, np.ones(count, np.float32)), "keep")


def gradient(canvas: Canvas, fields: Fields) -> None:
    """Colours along a line between two places, the first before it and the last beyond it."""
    place = read_place(canvas, fields)
    start, end = read_point(fields, "from", place.is_uv), read_point(fields, "to", place.is_uv)
    length = float(np.square(end - start).sum())
    if length == 0:
        fields.refuse("from and to must be two places")
    along = np.clip((place.points - start) @ (end - start) / length, 0, 1)
    colours = fields.colours("colours")
    stops = np.linspace(0, 1, len(colours))
    mixed = np.stack([np.interp(along, stops, colours[:, c]) for c in range(3)], axis=1)
    _apply(canvas, fields, Coat(mixed.astype(np.float32), place.seen), "keep")


def text(canvas: Canvas, fields: Fields) -> None:
    """Letters, upright around a centre or turned."""
    words, colour = fields.text("text"), fields.colour("colour", [0.0, 0.0, 0.0])
    _place_picture(canvas, fields, text_picture(words, colour), "height", "keep")


def decal(canvas: Canvas, fields: Fields) -> None:
    """A picture laid onto the surface around a centre."""
    _place_picture(canvas, fields, read_picture(canvas.folder, fields), "width", "keep")


def project_image(canvas: Canvas, fields: Fields) -> None:
    """A whole picture as a slide projector at a view throws it; light in it is taken as it is."""
    place = read_place(canvas, fields)
    if place.is_uv:
        fields.refuse("an image is projected from a view; for the texture itself use decal")
    picture = read_picture(canvas.folder, fields)
    camera = fields.camera("view", canvas.cameras)
    scale = np.array([picture.shape[1] / camera.size[1], picture.shape[0] / camera.size[0]])
    values = sampled(picture, place.points * scale, place.unit * scale.mean())
    _apply(canvas, fields, _coat(values, place.seen), "flat")


def recolour(canvas: Canvas, fields: Fields) -> None:
    """Turn the hue, change saturation and brightness, or move colours of a palette to others."""
    new = canvas.shown
    if "palette" in fields:
        new = _repainted(fields, new)
    angle = np.deg2rad(fields.number("hue_deg", 0.0, -360, 360))
    saturation = fields.number("saturation", 1.0, 0, 4)
    turn = np.eye(3)
    turn[1:, 1:] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    turn[1:] *= saturation
    matrix = np.linalg.inv(HUE_PLANE) @ turn @ HUE_PLANE
    # Paint has a hue, and light has one: only that of the paint is to turn.
    light = np.maximum(canvas.shading, 1e-3)
    light = light / light.mean(axis=1, keepdims=True)
    new = (new / light) @ matrix.T * light * 2 ** fields.number("exposure", 0.0, -8, 8)
    share = np.ones(len(new), np.float32)
    if "view" in fields or "space" in fields:
        place = read_place(canvas, fields)
        share = drawn(read_shape(fields, place), place)
    _blend(canvas, fields, Coat(new.astype(np.float32), share))


def _repainted(fields: Fields, old: np.ndarray) -> np.ndarray:
    """Colours moved by the shifts of the palette's colours that they resemble."""
    palette = fields.part("palette")
    assert palette is not None
    sources, targets = palette.colours("from"), palette.colours("to")
    reach = palette.number("reach", 20, 0.1, 200)
    palette.done()
    if len(sources) != len(targets):
        palette.refuse("from and to must list equally many colours")
    lab = rgb2lab(np.clip(old, 0, 1))
    away = np.stack([deltaE_ciede2000(lab, rgb2lab(colour[None])) for colour in sources], axis=1)
    weight = np.exp(-np.square(away / reach))
    weight /= np.maximum(weight.sum(axis=1, keepdims=True), 1)
    return old + weight @ (targets - sources)


def _place_picture(
    canvas: Canvas, fields: Fields, picture: np.ndarray, side: str, lighting: str
) -> None:
    """Lay a picture [H, W, 4] around "centre", its `side` ("width" or "height") as long as told."""
    place = read_place(canvas, fields)
    centre = read_point(fields, "centre", place.is_uv)
    length = fields.number(side, least=1e-6, most=2.0 if place.is_uv else 1e5)
    pixels = picture.shape[1] if side == "width" else picture.shape[0]
    angle = np.deg2rad(fields.number("turn_deg", 0.0, -360, 360))
    scale = pixels / length
    x, y = (place.points - centre).T * scale
    if place.is_uv:
        y = -y  # v points up, rows of pictures point down
    along, down = (np.cos(angle) * x - np.sin(angle) * y, np.sin(angle) * x + np.cos(angle) * y)
    middle = np.array([picture.shape[1], picture.shape[0]]) / 2
    points = np.stack([along, down], axis=1) + middle
    values = np.zeros((len(points), 4), np.float32)
    near = (np.abs(points - middle) <= middle + place.unit[:, None] * scale + 1).all(axis=1)
    near &= place.seen > 0
    values[near] = sampled(picture, points[near], place.unit[near] * scale)
    _apply(canvas, fields, _coat(values, place.seen), lighting)


def _coat(values: np.ndarray, seen: np.ndarray) -> Coat:  # [N, 4], premultiplied
    colour = values[:, :3] / np.maximum(values[:, 3:], 1e-6)
    return Coat(colour, values[:, 3] * seen)


def _apply(canvas: Canvas, fields: Fields, coat: Coat, lighting: str) -> None:
    """Lay the coat on, lit as the surface is or as it stands."""
    choice = fields.choice("lighting", ("keep", "flat"), lighting)
    _blend(canvas, fields, coat, keep_lighting=choice == "keep")


def _blend(canvas: Canvas, fields: Fields, coat: Coat, keep_lighting: bool = False) -> None:
    share = coat.share * read_selection(canvas, fields) * fields.number("opacity", 1.0, 0, 1)
    fields.done()
    texels = np.flatnonzero(share > 0)
    if not len(texels):
        fields.refuse("it paints nothing: the surface is not seen there, or nothing is selected")
    colour, share = coat.colour[texels], share[texels]
    if keep_lighting:
        colour = lit_like_surroundings(canvas.shading[texels], colour, share)
    canvas.blend(texels, colour, share)
