"""A glossy sphere with print, checkers, a hard seam and ripples, in front of black.

The laboratory animal: one object, an exact proxy, highlights that wander with the view.
"""

from __future__ import annotations

import numpy as np

from dnr.geometry.cameras import Camera
from dnr.synthetic.patterns import Image, Points, checker, paint, printed, waves
from dnr.synthetic.primitives import SPHERE
from dnr.synthetic.scene import Light, Material, Solid
from dnr.synthetic.sketch import Sketch
from dnr.synthetic.viewpoints import aim, band, spiral

FOV_DEG = 42.6  # at a distance of 3.5 the sphere covers 46 % of a square image
WORDS = [
    ["Neural", "textures", "0123456789"],
    ["one texel", "many views", "x+y=z {}[]"],
    ["Every good", "edge is", "a hard edge"],
    ["deferred", "RENDERING", "#@&%?!"],
    ["north", "pole", "^ ^ ^"],
    ["south", "pole", "v v v"],
]


def sphere() -> Sketch:
    """The scene `sphere`."""
    gloss = Material(specular=0.7, shininess=50.0, bump=0.045, bump_frequency=14.0)
    return Sketch(
        solids=(Solid("ball", SPHERE, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), gloss),),
        painters={"ball": _albedo},
        lights=(
            Light((30.0, -20.0, 40.0), (0.72, 0.7, 0.65)),
            Light((-35.0, 25.0, -25.0), (0.5, 0.54, 0.6)),
        ),
        flash=(0.85, 0.85, 0.85),
        train_views=_train_views,
        test_views=_test_views,
        ambient=(0.32, 0.32, 0.34),
    )


def _albedo(chart: int, st: Points, points: Points, rng: np.random.Generator) -> Image:
    image = 0.52 + 0.14 * waves(points, rng, 3.0) + 0.06 * waves(points, rng, 25.0)
    x, y, z = points[..., 0], points[..., 1], points[..., 2]
    longitude, latitude = np.arctan2(y, x), np.arcsin(z)
    # A seam along a great circle: two colourings that meet without any transition.
    paint(image, 0.7 * (x + 0.6 * y - 0.3 * z > 0), (0.93, 0.66, 0.25))
    squares = checker(np.stack([longitude * 36 / (2 * np.pi), latitude * 6], axis=-1), 1.0)
    paint(image, (abs(latitude + 0.25) < 1 / 6) & squares, (0.08, 0.1, 0.16))
    paint(image, z > 0.72, (0.82, 0.24, 0.24))
    ring = np.hypot(st[..., 0] - 0.5, st[..., 1] - 0.5)
    paint(image, np.abs(ring - 0.44) < 0.012, (0.1, 0.45, 0.75))
    ink = printed(st.shape[:2], WORDS[chart], height=0.12, top=0.12)
    paint(image, ink, (0.04, 0.05, 0.1) if chart % 2 == 0 else (0.96, 0.95, 0.9))
    return np.clip(image, 0.03, 0.97)


def _train_views(count: int, size: tuple[int, int], rng: np.random.Generator) -> Camera:
    distance = rng.uniform(3.0, 4.0, (count, 1))
    return aim(band(count, -1.0, 1.0) * distance, np.zeros(3), FOV_DEG, size)


def _test_views(count: int, size: tuple[int, int], rng: np.random.Generator) -> Camera:
    distance = rng.uniform(3.1, 3.9, (count, 1))
    return aim(spiral(count, -0.85, 0.85) * distance, np.zeros(3), FOV_DEG, size)
