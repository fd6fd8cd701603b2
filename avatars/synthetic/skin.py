"""The colours of a made-up face, painted into the head's texture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from avatars.heads.head import Head
from dnr.geometry.cameras import Camera
from dnr.raster.rasterize import rasterize

Colour = tuple[float, float, float]
PUPIL, IRIS, LIMBUS = 0.0024, 0.0058, 0.0066  # metres from the eye's axis


@dataclass(frozen=True)
class Look:
    """What somebody looks like, apart from the shape; colours are reflectances."""

    skin: Colour = (0.72, 0.50, 0.40)
    lips: Colour = (0.62, 0.28, 0.27)
    brows: Colour = (0.20, 0.13, 0.09)
    hair: Colour = (0.22, 0.14, 0.09)
    iris: Colour = (0.28, 0.42, 0.52)
    clothes: Colour = (0.16, 0.24, 0.36)
    freckles: float = 0.3  # 0 to 1
    stubble: float = 0.0  # 0 to 1
    hair_m: float = 0.014  # how far the hair stands off the skull
    seed: int = 0


@dataclass(frozen=True)
class Texels:
    """What each texel that shows something lies on, in the template."""

    place: np.ndarray  # [S, S] bool
    point: np.ndarray  # [N, 3]
    weight: dict[str, np.ndarray]  # region -> [N] in [0, 1]


def paint(head: Head, look: Look, size: int = 1024) -> np.ndarray:  # [S, S, 3], row 0 on top
    """The reflectance of skin, lips, brows, eyes, mouth, hair and clothes."""
    texels = find_texels(head, size)
    colour = _skin(texels, look)
    _lay(colour, _brows(texels, look), look.brows)
    hair = np.clip(texels.weight["scalp"], 0, 1)
    strands = 0.75 + 0.5 * noise(texels.point * [1, 0.15, 0.15], 900.0, look.seed + 5, hair)
    _lay(colour, hair, np.outer(strands, look.hair))
    _lay(colour, texels.weight["shoulders"], _cloth(texels, look))
    _lay(colour, texels.weight["mouth"], (0.30, 0.09, 0.09))
    _lay(colour, texels.weight["tongue"], np.outer(_light_in_mouth(texels), (0.44, 0.16, 0.16)))
    for row in ("upper_teeth", "lower_teeth"):
        _lay(colour, texels.weight[row], _teeth(texels))
    for side in ("right", "left"):
        _lay(colour, texels.weight[f"{side}_socket"], (0.55, 0.30, 0.26))
        _lay(colour, texels.weight[f"{side}_eyeball"], _eye(head, texels, look, side))
    texture = np.empty((size, size, 3))
    texture[:] = look.skin
    texture[texels.place] = np.clip(colour, 0, 1)
    return texture


def find_texels(head: Head, size: int) -> Texels:
    """The texture as a map of the template."""
    flat = head.uv * torch.tensor([size, -size]) + torch.tensor([0, size])
    flat = torch.cat([flat, torch.ones(len(flat), 1)], dim=1)
    camera = Camera(torch.eye(4)[None], torch.eye(3)[None], (size, size))
    fragments = rasterize(flat, head.uv_faces, camera)  # the texture's own plane, seen as a view
    place = (fragments.face_id[0] >= 0).numpy()
    face = fragments.face_id[0].numpy()[place]
    share = fragments.barycentric[0].numpy()[place].astype(np.float64)
    corners = head.faces.numpy()[face]
    point = np.einsum("nck,nc->nk", head.template.double().numpy()[corners], share)
    weight = {
        name: np.einsum("nc,nc->n", mask.double().numpy()[corners], share)
        for name, mask in head.regions.items()
    }
    return Texels(place, point, weight)


def noise(
    points: np.ndarray,  # [N, 3]
    per_metre: float,
    seed: int,
    wanted: np.ndarray | None = None,  # [N]: 0 elsewhere than where this is above 0
) -> np.ndarray:  # [N]
    """Smooth and random, mean 0, mostly within -1 to 1; the same on both sides of a seam."""
    if wanted is not None:
        found = np.zeros(len(points), np.float32)
        found[wanted > 0] = noise(points[wanted > 0], per_metre, seed)
        return found
    generator = np.random.default_rng(seed)
    waves = generator.normal(0, per_metre * 2, (16, 3)).astype(np.float32)
    phases = generator.uniform(0, 2 * np.pi, 16).astype(np.float32)
    return np.sin(points.astype(np.float32) @ waves.T + phases).sum(axis=1) / 4


def _skin(texels: Texels, look: Look) -> np.ndarray:  # [N, 3]
    point = texels.point
    tone = 1 + 0.05 * noise(point, 30.0, look.seed) + 0.03 * noise(point, 200.0, look.seed + 1)
    colour = np.outer(tone, look.skin)
    x, y, z = point.T
    for place, radius, amount in (((0.045, -0.045), 0.025, 0.5), ((0.0, -0.04), 0.014, 0.5)):
        distance = ((np.abs(x) - place[0]) ** 2 + (y - place[1]) ** 2) / radius**2
        blush = amount * np.exp(-distance) * (z > -0.02)
        colour *= 1 - blush[:, None] * np.array([0.05, 0.22, 0.18])
    cheeks = look.freckles * np.exp(-(((y + 0.03) / 0.03) ** 2)) * (z > 0)
    spots = np.clip(noise(point, 420.0, look.seed + 2, cheeks) - 1.1, 0, 1) * cheeks
    colour *= 1 - spots[:, None] * np.array([0.5, 0.7, 0.8])
    beard = look.stubble * np.exp(-(((y + 0.10) / 0.028) ** 4)) * (z > -0.06)
    beard *= np.clip(0.6 + 0.6 * noise(point, 1500.0, look.seed + 3, beard), 0, 1)
    colour *= 1 - 0.55 * np.clip(beard, 0, 1)[:, None] * np.array([1.0, 0.95, 0.9])
    lips = _smooth(texels.weight["lips"], 0.15, 0.85)
    lines = 1 + 0.12 * noise(point * [3, 0.3, 1], 500.0, look.seed + 4, lips)
    _lay(colour, lips, np.outer(lines, look.lips))
    return colour


def _brows(texels: Texels, look: Look) -> np.ndarray:  # [N] in [0, 1]
    """Two arcs of short strokes that lean outwards."""
    x, y, z = texels.point.T
    along = np.clip((np.abs(x) - 0.010) / 0.044, 0, 1)  # 0 at the nose to 1 at the temple
    middle = 0.0185 + 0.0075 * np.sin(np.pi * (0.10 + 0.72 * along))
    half = 0.0042 * (1 - 0.75 * along**2)
    inside = np.clip(1.5 - 1.5 * np.abs(y - middle) / half, 0, 1)
    inside *= _smooth(np.abs(x), 0.008, 0.012) * (1 - _smooth(np.abs(x), 0.050, 0.056))
    inside *= z > -0.03
    strokes = np.stack([np.abs(x) - 0.5 * y, 0.3 * y, 0 * z], axis=1)
    return inside * np.clip(0.8 + 0.35 * noise(strokes, 900.0, look.seed + 6, inside), 0, 1)


def _eye(head: Head, texels: Texels, look: Look, side: str) -> np.ndarray:  # [N, 3]
    """White with a ringed iris around the axis."""
    centre = (head.eye_centre[("right", "left").index(side)] @ head.template).numpy()
    across = texels.point[:, :2] - centre[:2]
    radius = np.linalg.norm(across, axis=1)
    colour = np.full((len(radius), 3), (0.86, 0.83, 0.80))
    colour *= 1 - 0.25 * _smooth(radius, 0.009, 0.016)[:, None] * np.array([0.4, 0.9, 0.9])
    angle = np.arctan2(across[:, 1], across[:, 0])
    rays = 1 + 0.18 * np.sin(23 * angle + look.seed) + 0.12 * np.sin(57 * angle)
    front = texels.point[:, 2] > centre[2]
    shade = np.where(radius < LIMBUS - 0.0012, rays, 0.45)[:, None]
    _lay(colour, (1 - _smooth(radius, IRIS, LIMBUS)) * front, shade * np.array(look.iris))
    _lay(colour, (1 - _smooth(radius, PUPIL, PUPIL + 0.0004)) * front, (0.02, 0.02, 0.02))
    return colour


def _teeth(texels: Texels) -> np.ndarray:  # [N, 3]
    """Dark lines between the teeth."""
    x, _, z = texels.point.T
    along = np.arctan2(x, z + 0.012) / 0.22
    gap = np.abs(along - np.round(along)) * 2  # 1 between two teeth
    bright = (0.82 - 0.3 * _smooth(gap, 0.85, 1.0)) * _light_in_mouth(texels)
    return np.outer(bright, (1.0, 0.95, 0.86))


def _light_in_mouth(texels: Texels) -> np.ndarray:  # [N]
    """Little light gets to the back teeth and into the corners."""
    x, _, z = texels.point.T
    return 0.12 + 0.88 * _smooth(z, -0.016, 0.012) * (1 - 0.85 * _smooth(np.abs(x), 0.008, 0.020))


def _cloth(texels: Texels, look: Look) -> np.ndarray:  # [N, 3]
    folds = 1 + 0.15 * noise(texels.point, 40.0, look.seed + 7, texels.weight["shoulders"])
    knit = 1 + 0.10 * np.sign(np.sin(texels.point[:, 1] * 700))
    return np.outer(folds * knit, look.clothes)


def _lay(colour: np.ndarray, cover: np.ndarray, over: np.ndarray | Colour) -> None:
    """Paint `over` onto `colour` in place, where `cover` is 1."""
    colour += cover[:, None] * (np.asarray(over) - colour)


def _smooth(value: np.ndarray, low: float, high: float) -> np.ndarray:
    share = np.clip((value - low) / (high - low), 0, 1)
    return share * share * (3 - 2 * share)
