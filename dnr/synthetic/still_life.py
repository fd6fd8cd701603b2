"""Ceramics on a wooden table under an open sky: gloss, soft shadows, and mirror images.

The attractive one. Objects darken, shade and mirror each other, so a neural texture has to store
more than a highlight.
"""

from __future__ import annotations

import numpy as np

from dnr.geometry.cameras import Camera
from dnr.synthetic.patterns import Image, Points, checker, paint, plain, printed, waves, wood
from dnr.synthetic.primitives import BOX, CYLINDER, DISC, SPHERE
from dnr.synthetic.scene import Light, Material, Sky, Solid
from dnr.synthetic.sketch import Sketch
from dnr.synthetic.viewpoints import aim, band, spiral

FOV_DEG = 40.0
TARGET = np.array([0.0, 0.0, 0.36])


def still_life() -> Sketch:
    """The scene `still-life`."""
    glaze = Material(specular=0.9, shininess=220.0, mirror=0.09, bump=0.005, bump_frequency=9.0)
    lacquer = Material(specular=0.4, shininess=50.0, mirror=0.045, bump=0.004)
    satin = Material(specular=0.28, shininess=16.0, bump=0.02, bump_frequency=22.0)
    table = Material(specular=0.12, shininess=30.0, mirror=0.02, bump=0.004, bump_frequency=40.0)
    clay = Material(specular=0.05, shininess=8.0, bump=0.05, bump_frequency=45.0)
    return Sketch(
        solids=(
            Solid("ball", SPHERE, (0.28, -0.42, 0.46), (0.46, 0.46, 0.46), glaze, turn_deg=-35),
            Solid("box", BOX, (-0.55, -0.3, 0.3), (0.3, 0.24, 0.3), lacquer, turn_deg=24),
            Solid("can", CYLINDER, (0.0, 0.52, 0.5), (0.3, 0.3, 0.5), satin, turn_deg=70),
            Solid("pebble", SPHERE, (0.78, 0.22, 0.14), (0.24, 0.17, 0.14), clay, turn_deg=40),
            Solid("table", DISC, (0.0, 0.0, 0.0), (1.45, 1.45, 1.0), table),
        ),
        painters={
            "ball": _ball,
            "box": _box,
            "can": _can,
            "pebble": _pebble,
            "table": _table,
        },
        lights=(
            Light((4.5, -3.0, 5.5), (0.86, 0.79, 0.68), radius=0.55),
            Light((-5.0, -2.5, 3.5), (0.24, 0.28, 0.36), radius=1.2),
        ),
        flash=(0.8, 0.8, 0.8),
        train_views=_train_views,
        test_views=_test_views,
        ambient=(0.4, 0.41, 0.44),
        ambient_reach=1.6,
        sky=_sky(),
        detail={"table": 0.62, "pebble": 1.1},
    )


def _sky() -> Sky:
    """An evening: warm at the horizon, blue above, with a few soft clouds and a low sun."""
    lobes = [
        (4.5, -3.0, 5.5, 90.0, 1.6, 1.4, 1.1),
        (4.5, -3.0, 5.5, 4.0, 0.2, 0.13, 0.04),
        (-1.0, 0.8, 0.5, 40.0, 0.8, 0.85, 0.95),
        (-0.3, -1.0, 0.6, 60.0, 0.9, 0.85, 0.8),
        (0.9, 0.9, 0.35, 30.0, 0.35, 0.22, 0.12),
        (-0.9, -0.5, 0.35, 80.0, 0.5, 0.5, 0.6),
        (0.1, 0.4, 0.9, 50.0, 0.5, 0.6, 0.8),
        (0.2, -0.9, -0.5, 6.0, 0.06, 0.05, 0.07),
        (-0.8, 0.6, -0.6, 6.0, 0.1, 0.08, 0.04),
    ]
    rows = np.array(lobes)
    rows[:, :3] /= np.linalg.norm(rows[:, :3], axis=1, keepdims=True)
    return Sky((0.3, 0.4, 0.45), (0.8, 0.73, 0.66), (0.24, 0.4, 0.64), rows)


def _ball(chart: int, st: Points, points: Points, rng: np.random.Generator) -> Image:
    z, longitude = points[..., 2], np.arctan2(points[..., 1], points[..., 0])
    image = plain(st.shape, (0.93, 0.91, 0.85)) + 0.012 * waves(points, rng, 20.0)
    blue, red = (0.08, 0.2, 0.52), (0.76, 0.2, 0.14)
    petals = 0.55 + 0.2 * np.abs(np.cos(4 * longitude))
    paint(image, (z > petals) & (z < 0.95), blue)
    paint(image, -z > petals, blue)
    paint(image, np.abs(z - 0.42 - 0.025 * np.sin(16 * longitude)) < 0.018, red)
    paint(image, np.abs(z + 0.42 - 0.025 * np.sin(16 * longitude)) < 0.018, red)
    # Two bands of diamonds around the belly, edges as hard as texels allow.
    across = longitude * 20 / (2 * np.pi)
    diamond = np.abs((across % 1.0) - 0.5) + np.abs(z) * 2.6
    paint(image, diamond < 0.5, blue)
    paint(image, diamond < 0.22, (0.92, 0.66, 0.2))
    return image


def _box(chart: int, st: Points, points: Points, rng: np.random.Generator) -> Image:
    colours = [
        (0.78, 0.24, 0.16),
        (0.16, 0.46, 0.5),
        (0.9, 0.64, 0.18),
        (0.28, 0.3, 0.56),
        (0.86, 0.82, 0.72),
        (0.3, 0.3, 0.3),
    ]
    image = plain(st.shape, colours[chart]) * (1 + 0.03 * waves(points, rng, 8.0))
    edge = np.abs(st - 0.5).max(axis=-1)
    paint(image, (edge > 0.43) & (edge < 0.455), (0.95, 0.92, 0.82))
    light, dark = (0.96, 0.93, 0.85), (0.1, 0.1, 0.14)
    words = ["DNR", "u,v", "view", "RGB"]
    if chart < 4:
        ink = printed(st.shape[:2], [words[chart]], 0.2, top=0.2, left=0.16, weight=0.16)
        paint(image, ink, light if chart != 2 else dark)
        small = ["deferred", "neural box", "No. 012345"]
        paint(
            image,
            printed(st.shape[:2], small, 0.065, top=0.55, left=0.17),
            light if chart != 2 else dark,
        )
    else:
        paint(image, checker(st, 8.0) & (edge < 0.4), dark)
    return image


def _can(chart: int, st: Points, points: Points, rng: np.random.Generator) -> Image:
    if chart > 0:
        radius = np.hypot(points[..., 0], points[..., 1])
        image = plain(st.shape, (0.72, 0.74, 0.7))
        paint(image, (radius * 7) % 1.0 < 0.16, (0.4, 0.44, 0.42))
        paint(image, radius > 0.92, (0.2, 0.32, 0.24))
        return image
    image = plain(st.shape, (0.22, 0.45, 0.34)) * (1 + 0.05 * waves(points, rng, 6.0))
    cream = (0.94, 0.9, 0.78)
    paint(image, np.abs(st[..., 1] - 0.5) < 0.29, cream)
    paint(image, np.abs(np.abs(st[..., 1] - 0.5) - 0.31) < 0.008, (0.86, 0.6, 0.2))
    leaf = np.sin(st[..., 0] * 2 * np.pi * 9) * 0.05
    paint(image, np.abs(st[..., 1] - 0.89 - 0.5 * leaf) < 0.014, cream)
    paint(image, np.abs(st[..., 1] - 0.1 - 0.5 * leaf) < 0.014, cream)
    for left in (0.05, 0.55):
        title = printed(st.shape[:2], ["TEA"], 0.2, top=0.24, left=left, weight=0.16)
        paint(image, title, (0.7, 0.18, 0.16))
        lines = ["first flush 1024", "steep for sixty s"]
        paint(image, printed(st.shape[:2], lines, 0.055, top=0.58, left=left), (0.12, 0.22, 0.18))
    return image


def _pebble(chart: int, st: Points, points: Points, rng: np.random.Generator) -> Image:
    noise = waves(points, rng, 4.0)[..., :1] * 0.06 + waves(points, rng, 45.0)[..., :1] * 0.03
    image = plain(st.shape, (0.44, 0.42, 0.42)) + noise
    vein = np.abs(points[..., 0] * 0.4 + points[..., 2] + 0.1 * np.sin(5 * points[..., 1]))
    paint(image, vein < 0.05, (0.82, 0.8, 0.76))
    return image


def _table(chart: int, st: Points, points: Points, rng: np.random.Generator) -> Image:
    image = wood(points, rng, (0.66, 0.45, 0.27), (0.4, 0.23, 0.12))
    radius = np.hypot(points[..., 0], points[..., 1])
    angle = np.arctan2(points[..., 1], points[..., 0])
    teeth = np.abs((angle * 48 / (2 * np.pi)) % 1.0 - 0.5) < 0.25
    paint(image, (radius > 0.9) & (radius < 0.93) & teeth, (0.9, 0.8, 0.6))
    paint(image, (radius > 0.945) & (radius < 0.955), (0.2, 0.11, 0.07))
    return image


def _train_views(count: int, size: tuple[int, int], rng: np.random.Generator) -> Camera:
    distance = rng.uniform(3.0, 3.9, (count, 1))
    return aim(TARGET + band(count, 0.12, 0.92) * distance, TARGET, FOV_DEG, size)


def _test_views(count: int, size: tuple[int, int], rng: np.random.Generator) -> Camera:
    distance = rng.uniform(3.1, 3.8, (count, 1))
    return aim(TARGET + spiral(count, 0.17, 0.85) * distance, TARGET, FOV_DEG, size)
