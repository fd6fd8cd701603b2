"""What a scene is made of: solids, materials, lights, a sky, and one albedo image for all."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from dnr.synthetic.primitives import NUM_CHARTS

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Material:
    """How a solid answers to light, besides its albedo."""

    specular: float = 0.0
    """Weight of the Blinn-Phong highlight, which has the colour of the light."""
    shininess: float = 50.0
    """Blinn-Phong exponent."""
    mirror: float = 0.0
    """Schlick reflectance at normal incidence; 0 means no mirror reflection at all."""
    bump: float = 0.0
    """Slope of the ripples that tilt the normal; the silhouette stays smooth."""
    bump_frequency: float = 8.0
    """Ripples in radians per unit of length in the world."""


@dataclass(frozen=True)
class Solid:
    """One primitive, scaled along its own axes, turned about z, then moved."""

    name: str
    kind: int
    centre: Colour
    half_size: Colour
    material: Material
    turn_deg: float = 0.0
    inward: bool = False
    """Seen from inside: a room."""

    @property
    def to_world(self) -> np.ndarray:  # [3, 4]
        """Affine map from unit coordinates to the world."""
        angle = np.deg2rad(self.turn_deg)
        cos, sin = np.cos(angle), np.sin(angle)
        turn = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
        return np.concatenate(
            [turn * np.asarray(self.half_size), np.asarray(self.centre)[:, None]], axis=1
        )

    @property
    def from_world(self) -> np.ndarray:  # [3, 4]
        """Affine map from the world to unit coordinates."""
        forward = self.to_world
        inverse = np.linalg.inv(forward[:, :3])
        return np.concatenate([inverse, -inverse @ forward[:, 3:]], axis=1)


@dataclass(frozen=True)
class Light:
    """A small ball of light without fall-off; its radius softens the shadows."""

    position: Colour
    colour: Colour
    radius: float = 0.0


@dataclass(frozen=True)
class Sky:
    """Infinitely far: the colour depends on the direction only. Default: black."""

    ground: Colour = (0.0, 0.0, 0.0)
    horizon: Colour = (0.0, 0.0, 0.0)
    zenith: Colour = (0.0, 0.0, 0.0)
    lobes: np.ndarray = field(default_factory=lambda: np.zeros((0, 7)))
    """[K, 7]: unit direction, sharpness, colour that is added."""

    @property
    def constant(self) -> bool:
        """Whether every direction has one and the same colour."""
        return self.ground == self.horizon == self.zenith and len(self.lobes) == 0


@dataclass(frozen=True)
class Scene:
    """Everything a picture depends on, besides the camera. Lengths are in units of the world.

    `albedo` is an image in the uv space of the proxy mesh: replace it
    (`dataclasses.replace(scene, albedo=edited)`) and the re-rendered views are the ground truth
    of that edit. Nothing else depends on it.
    """

    solids: tuple[Solid, ...]
    lights: tuple[Light, ...]
    flash: Colour | None
    """Colour of a light at the camera, which then is the only one besides the ambient light."""
    ambient: Colour
    sky: Sky
    rectangles: np.ndarray
    """[C, 4] charts of all solids in order: first column, first row, one past the last of each;
    in texels of `albedo`, row 0 on top."""
    albedo: np.ndarray
    """[A, A, 3]"""
    visibility: np.ndarray
    """[A, A, L + 1] share of each light, and of the ambient light, that reaches each texel."""

    def first_charts(self) -> list[int]:
        """The row of `rectangles` at which each solid's charts begin."""
        counts = [NUM_CHARTS[solid.kind] for solid in self.solids]
        return [sum(counts[:index]) for index in range(len(counts))]
