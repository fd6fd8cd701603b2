"""The scenes by name."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dnr.geometry.cameras import Camera
from dnr.synthetic.atlas import chart_grid, fill_gutters, pack_charts
from dnr.synthetic.config import SceneConfig
from dnr.synthetic.primitives import NUM_CHARTS, surface_points
from dnr.synthetic.room import room
from dnr.synthetic.scene import Scene
from dnr.synthetic.shadows import bake_visibility
from dnr.synthetic.sketch import Sketch
from dnr.synthetic.sphere import sphere
from dnr.synthetic.still_life import still_life

SKETCHES: dict[str, Callable[[], Sketch]] = {
    "sphere": sphere,
    "still-life": still_life,
    "room": room,
}


def build_scene(config: SceneConfig) -> Scene:
    """The scene that `config` names, ready to be rendered."""
    return assemble(SKETCHES[config.scene](), config)


def assemble(sketch: Sketch, config: SceneConfig) -> Scene:
    """The scene of `sketch`: charts packed, albedo painted, shadows computed."""
    size = config.texture_size
    rectangles = pack_charts(sketch.solids, sketch.detail, size)
    flash = config.light == "camera"
    lights = () if flash else sketch.lights
    return Scene(
        solids=sketch.solids,
        lights=lights,
        flash=sketch.flash if flash else None,
        ambient=sketch.ambient,
        sky=sketch.sky,
        rectangles=rectangles,
        albedo=_paint_charts(sketch, rectangles, config),
        visibility=bake_visibility(sketch.solids, lights, sketch.ambient_reach, rectangles, size),
    )


def build_views(config: SceneConfig) -> tuple[Camera, Camera]:
    """Training cameras and held-out test cameras."""
    sketch = SKETCHES[config.scene]()
    train, test = np.random.default_rng([config.seed, 1]), np.random.default_rng([config.seed, 2])
    return (
        sketch.train_views(config.num_train, config.size, train),
        sketch.test_views(config.num_test, config.size, test),
    )


def _paint_charts(
    sketch: Sketch, rectangles: np.ndarray, config: SceneConfig
) -> np.ndarray:  # [A, A, 3]
    image = np.zeros((config.texture_size, config.texture_size, 3), np.float32)
    row = 0
    for index, solid in enumerate(sketch.solids):
        for chart in range(NUM_CHARTS[solid.kind]):
            left, top, right, bottom = rectangles[row]
            st = chart_grid(rectangles[row])
            points = surface_points(solid.kind, chart, st.reshape(-1, 2)).reshape(*st.shape[:2], 3)
            rng = np.random.default_rng([config.seed, 3, index])
            image[top:bottom, left:right] = sketch.painters[solid.name](chart, st, points, rng)
            row += 1
    fill_gutters(image, rectangles)
    return image
