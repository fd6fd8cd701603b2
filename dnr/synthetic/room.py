"""A lumpy, rough figure on a plinth in a furnished room: every pixel of every view is covered.

Different in kind from the others: weak and wide highlights, hairline patterns that run one way,
crevices between lobes, walls that come close to the camera, lights inside the scene.
"""

from __future__ import annotations

import numpy as np

from dnr.geometry.cameras import Camera
from dnr.synthetic.patterns import Image, Points, checker, paint, plain, printed, waves, wood
from dnr.synthetic.primitives import BOX, CYLINDER, SPHERE
from dnr.synthetic.scene import Light, Material, Solid
from dnr.synthetic.sketch import Sketch
from dnr.synthetic.viewpoints import aim, band, spiral

FOV_DEG = 52.0
TARGET = np.array([0.0, 0.0, 1.15])
HALF, HEIGHT = 2.3, 3.0


def room() -> Sketch:
    """The scene `room`."""
    rough = Material(specular=0.1, shininess=7.0, bump=0.05, bump_frequency=30.0)
    plaster = Material(specular=0.03, shininess=5.0, bump=0.02, bump_frequency=24.0)
    varnish = Material(specular=0.2, shininess=24.0, mirror=0.02)
    walls = Solid("walls", BOX, (0, 0, HEIGHT / 2), (HALF, HALF, HEIGHT / 2), plaster, inward=True)
    return Sketch(
        solids=(
            Solid("body", SPHERE, (0.0, 0.0, 1.08), (0.42, 0.34, 0.4), rough, turn_deg=20),
            Solid("head", SPHERE, (0.18, -0.06, 1.5), (0.25, 0.24, 0.27), rough, turn_deg=-30),
            Solid("tail", SPHERE, (-0.4, 0.12, 0.98), (0.3, 0.16, 0.2), rough, turn_deg=-25),
            Solid("plinth", CYLINDER, (0.0, 0.0, 0.36), (0.5, 0.5, 0.36), varnish),
            Solid("chest", BOX, (1.72, 1.72, 0.45), (0.42, 0.42, 0.45), varnish),
            walls,
        ),
        painters={
            "body": _stripes,
            "head": _stripes,
            "tail": _stripes,
            "plinth": _plinth,
            "chest": _chest,
            "walls": _walls,
        },
        lights=(
            Light((-1.2, -1.0, 2.75), (0.62, 0.56, 0.46), radius=0.22),
            Light((1.6, -1.5, 2.1), (0.3, 0.33, 0.4), radius=0.25),
        ),
        flash=(0.7, 0.7, 0.7),
        train_views=_train_views,
        test_views=_test_views,
        ambient=(0.42, 0.42, 0.43),
        ambient_reach=0.9,
        detail={"body": 1.6, "head": 1.6, "tail": 1.6, "chest": 0.6, "walls": 0.4},
    )


def _stripes(chart: int, st: Points, points: Points, rng: np.random.Generator) -> Image:
    bend = waves(points, rng, 2.5)[..., 0]
    phase = points @ np.array([3.0, 1.2, 5.0]) + 0.35 * bend
    share = (0.5 + 0.5 * np.sin(1.3 * phase)).astype(np.float32)
    image = plain(st.shape, (0.88, 0.62, 0.3))
    paint(image, share, (0.16, 0.46, 0.5))
    paint(image, 0.5 + 0.5 * np.sin(2.9 * phase + 1.0) > 0.8, (0.9, 0.87, 0.8))
    paint(image, (phase * 0.9) % 1.0 < 0.12, (0.3, 0.1, 0.14))
    hairline = np.sin(45 * (phase + 0.05 * waves(points, rng, 12.0)[..., 1]))
    image *= (1 + 0.12 * hairline[..., None]).astype(np.float32)
    return np.clip(image, 0.04, 0.96)


def _plinth(chart: int, st: Points, points: Points, rng: np.random.Generator) -> Image:
    image = 0.8 + 0.03 * waves(points, rng, 5.0)[..., :1] * np.ones(3, np.float32)
    vein = np.abs(waves(points, rng, 3.0)[..., 1])
    paint(image, np.clip(1 - vein * 9, 0, 1) * 0.7, (0.3, 0.32, 0.36))
    if chart == 0:
        flutes = np.abs((st[..., 0] * 24) % 1.0 - 0.5) < 0.12
        paint(image, flutes & (np.abs(st[..., 1] - 0.5) < 0.36), (0.56, 0.52, 0.48))
        for left in (0.02, 0.35, 0.68):
            text = printed(st.shape[:2], ["lobes in a room"], 0.08, top=0.01, left=left)
            paint(image, text, (0.35, 0.1, 0.1))
    return image


def _chest(chart: int, st: Points, points: Points, rng: np.random.Generator) -> Image:
    if chart > 3:
        return wood(points, rng, (0.55, 0.36, 0.22), (0.3, 0.17, 0.1))
    plane = np.stack([st[..., 1] * 2 - 1, st[..., 0] * 2 - 1], axis=-1)
    image = wood(plane, rng, (0.6, 0.4, 0.25), (0.34, 0.2, 0.12))
    rows = (st[..., 1] * 3) % 1.0
    paint(image, (rows < 0.03) | (rows > 0.97), (0.12, 0.07, 0.05))
    knob = np.hypot(st[..., 0] - 0.5, (rows - 0.5) / 3) < 0.035
    paint(image, knob, (0.85, 0.68, 0.32))
    return image


def _walls(chart: int, st: Points, points: Points, rng: np.random.Generator) -> Image:
    if chart == 5:  # the floor
        image = plain(st.shape, (0.72, 0.66, 0.58)) + 0.03 * waves(points, rng, 30.0)
        paint(image, checker(st, 12.0), (0.3, 0.34, 0.36))
        return image
    if chart == 4:
        return plain(st.shape, (0.85, 0.84, 0.8)) + 0.02 * waves(points, rng, 4.0)
    colours = [(0.58, 0.68, 0.62), (0.74, 0.62, 0.5), (0.5, 0.58, 0.7), (0.72, 0.68, 0.5)]
    image = plain(st.shape, colours[chart]) + 0.02 * waves(points, rng, 10.0)
    paper = np.abs((st[..., 0] * 22) % 1.0 - 0.5) < 0.08
    paint(image, paper & (st[..., 1] > 0.3), (0.86, 0.84, 0.76))
    paint(image, st[..., 1] < 0.3, (0.42, 0.34, 0.3))
    paint(image, np.abs(st[..., 1] - 0.3) < 0.012, (0.9, 0.88, 0.82))
    # Outward charts are seen from inside here: print mirrored, to be read in the room.
    seen = st * (-1, 1) + (1, 0)
    for left, bottom, wide, tall in ((0.12, 0.48, 0.3, 0.34), (0.56, 0.5, 0.3, 0.28)):
        place = (seen - (left, bottom)) / (wide, tall)
        inside = (place > 0).all(axis=-1) & (place < 1).all(axis=-1)
        frame = inside & (np.abs(place - 0.5).max(axis=-1) > 0.44)
        image[inside] = np.clip(0.55 + 0.13 * waves(place * 4, rng, 1.5), 0.05, 0.95)[inside]
        paint(image, frame, (0.2, 0.14, 0.1))
    ink = printed(
        st.shape[:2], [["east", "west", "north", "south"][chart]], 0.07, top=0.02, left=0.36
    )
    paint(image, ink[:, ::-1], (0.97, 0.96, 0.9))
    return image


def _train_views(count: int, size: tuple[int, int], rng: np.random.Generator) -> Camera:
    distance = rng.uniform(1.5, 1.95, (count, 1))
    return aim(TARGET + band(count, -0.3, 0.8) * distance, TARGET, FOV_DEG, size)


def _test_views(count: int, size: tuple[int, int], rng: np.random.Generator) -> Camera:
    distance = rng.uniform(1.55, 1.9, (count, 1))
    return aim(TARGET + spiral(count, -0.2, 0.7) * distance, TARGET, FOV_DEG, size)
