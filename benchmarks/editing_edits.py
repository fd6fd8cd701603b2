"""The edits that are measured: each as a recipe's operations, and as what they do to the albedo."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import cv2
import numpy as np
from PIL import Image

from benchmarks.editing_truth import FINER, carried, drawn_mask
from dnr.editing.pictures import text_picture

RED, YELLOW = (0.75, 0.1, 0.1), (0.85, 0.75, 0.1)
PATCH = {
    "shape": "circle",
    "centre": [222, 300],
    "radius": 36,
    "from": [330, 170],
    "to": [222, 300],
}
BLOB = {"shape": "circle", "centre": [262, 196], "radius": 44}
LINE = {
    "shape": "stroke",
    "points": [[150, 300], [190, 270], [240, 300], [300, 262], [350, 292]],
    "radius": 13,
    "hardness": 1.0,
}
SPOT = {"centre": [262, 196], "radius": 26}
SOURCE = [255, 136]
PHOTO = "photo.png"
"""A picture of the scene as the edit "photo" makes it, with light and all, cut out."""
HUE = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])


class Ground(NamedTuple):
    """What an edit's truth is made from."""

    albedo: np.ndarray  # [N, 3]
    light: np.ndarray  # [N, 3]: photographed colour over albedo
    pixel: np.ndarray  # [N, 2] in the paint view
    seen: np.ndarray  # bool [N]
    view: np.ndarray  # [H * FINER, W * FINER, 3]: the paint view without any light


class Truth(NamedTuple):
    """The albedo after an edit."""

    colour: np.ndarray  # [N, 3]
    share: np.ndarray  # [N]


class Edit(NamedTuple):
    """One edit, both ways."""

    name: str
    operations: list[dict[str, Any]]
    truth: Callable[[Ground], Truth]


def paint_edits(view: str) -> list[Edit]:
    """Painting in one view of 512 x 512 pixels."""
    word = {"text": "Paint", "centre": [232, 250], "height": 44, "turn_deg": 8}
    disc = {"shape": "circle", "centre": [300, 320], "radius": 48}

    def in_albedo(mask: Callable[[Ground], np.ndarray], colour: tuple[float, ...]) -> Any:
        def truth(ground: Ground) -> Truth:
            share = mask(ground)
            mean = (ground.light * share[:, None]).sum(axis=0) / share.sum()
            return Truth(np.broadcast_to(np.array(colour) / mean, ground.albedo.shape), share)

        return truth

    def turned(ground: Ground) -> Truth:
        angle = np.deg2rad(120)
        turn = np.eye(3)
        turn[1:, 1:] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        matrix = np.linalg.inv(HUE) @ turn @ HUE
        return Truth(ground.albedo @ matrix.T, disc_mask(disc)(ground))

    def copied(ground: Ground) -> Truth:
        x, y = (f - t for f, t in zip(PATCH["from"], PATCH["to"], strict=True))
        moved = np.roll(ground.view, (-y * FINER, -x * FINER), axis=(0, 1))
        return Truth(carried(moved, ground.pixel, ground.seen), disc_mask(PATCH)(ground))

    def as_before(ground: Ground) -> Truth:
        return Truth(ground.albedo, disc_mask(SPOT)(ground))

    def wood(ground: Ground) -> Truth:
        rows, columns = np.indices(ground.view.shape[:2]) / FINER
        bands = 0.5 + 0.3 * np.sin(columns / 4 + rows / 9)
        picture = np.stack([bands, 0.6 * bands + 0.1, 0.2 + 0 * bands], axis=-1)
        return Truth(carried(picture, ground.pixel, ground.seen), disc_mask(SPOT)(ground))

    at = {"op": "paint", "view": view}
    spot = at | {
        "shape": "circle",
        "centre": SPOT["centre"],
        "radius": 18,
        "colour": [0.7, 0.1, 0.1],
    }
    around = {"view": view, "shape": "circle"} | SPOT
    return [
        Edit("blob", [at | BLOB | {"colour": list(RED)}], in_albedo(disc_mask(BLOB), RED)),
        Edit(
            "stroke",
            [at | LINE | {"colour": [0.1, 0.3, 0.7]}],
            in_albedo(line_mask(LINE), (0.1, 0.3, 0.7)),
        ),
        Edit(
            "text",
            [{"op": "text", "view": view, "colour": list(YELLOW)} | word],
            in_albedo(word_mask(word), YELLOW),
        ),
        Edit("hue", [{"op": "recolour", "view": view, "hue_deg": 120} | disc], turned),
        Edit("clone", [{"op": "clone", "view": view} | PATCH], copied),
        Edit(
            "heal",
            [spot, {"op": "heal"} | around | {"from": SOURCE, "to": SPOT["centre"]}],
            as_before,
        ),
        Edit("erase", [spot, {"op": "erase"} | around], as_before),
        Edit("photo", [{"op": "project", "view": view, "image": PHOTO}], wood),
    ]


def disc_mask(shape: dict[str, Any]) -> Callable[[Ground], np.ndarray]:
    """The share of every texel inside of a disc."""
    (x, y), r = shape["centre"], shape["radius"]
    box = [x - r, y - r, x + r, y + r]
    return lambda ground: _carried(ground, lambda pen, s: pen.ellipse([s * v for v in box], 255))


def line_mask(shape: dict[str, Any]) -> Callable[[Ground], np.ndarray]:
    """The share of every texel under a hard round brush."""
    r = shape["radius"]

    def draw(pen: Any, s: int) -> None:
        points = [(s * x, s * y) for x, y in shape["points"]]
        pen.line(points, 255, width=2 * r * s)
        for x, y in points:
            pen.ellipse([x - r * s, y - r * s, x + r * s, y + r * s], 255)

    return lambda ground: _carried(ground, draw)


def word_mask(word: dict[str, Any]) -> Callable[[Ground], np.ndarray]:
    """The share of every texel under the letters."""

    def share(ground: Ground) -> np.ndarray:
        ink = text_picture(word["text"], np.ones(3, np.float32))[..., 3]
        scale = word["height"] * FINER / len(ink)
        angle = np.deg2rad(word["turn_deg"])  # to the left on the screen
        turn = scale * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        middle = (np.array(ink.shape[::-1]) - 1) / 2
        shift = np.array(word["centre"]) * FINER - 0.5 - turn @ middle
        size = (ground.view.shape[1], ground.view.shape[0])
        smooth = cv2.GaussianBlur(ink, (0, 0), 0.35 / scale) if scale < 1 else ink
        mask = cv2.warpAffine(smooth, np.column_stack([turn, shift]), size, flags=cv2.INTER_LINEAR)
        return carried(mask, ground.pixel, ground.seen)

    return share


def _carried(ground: Ground, draw: Any) -> np.ndarray:
    mask: Image.Image = drawn_mask(ground.view.shape, draw)
    return carried(np.asarray(mask, np.float32) / 255, ground.pixel, ground.seen)
