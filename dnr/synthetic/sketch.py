"""What the author of a scene writes down; everything else follows from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from dnr.geometry.cameras import Camera
from dnr.synthetic.patterns import Image, Points
from dnr.synthetic.scene import Colour, Light, Sky, Solid

Painter = Callable[[int, Points, Points, np.random.Generator], Image]
"""Albedo [h, w, 3] of one chart from its number, (s, t) [h, w, 2] and unit points [h, w, 3].

The generator starts anew for every chart of a solid, so that noise continues across its charts.
"""

Views = Callable[[int, tuple[int, int], np.random.Generator], Camera]
"""A number of cameras with images of one size."""


@dataclass(frozen=True)
class Sketch:
    """One scene before anything is computed."""

    solids: tuple[Solid, ...]
    painters: Mapping[str, Painter]
    """By the name of the solid."""
    lights: tuple[Light, ...]
    flash: Colour
    train_views: Views
    test_views: Views
    ambient: Colour = (0.2, 0.2, 0.2)
    ambient_reach: float = 2.0
    """Objects farther away than this do not darken each other's corners."""
    sky: Sky = field(default_factory=Sky)
    detail: Mapping[str, float] = field(default_factory=dict)
    """Texels per unit of length of a solid, relative to the others."""
