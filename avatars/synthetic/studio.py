"""Pictures of an actor: textured, lit by two lamps and the room, before a blurred backdrop."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

from avatars.heads.head import Head
from avatars.synthetic.actors import Actor
from avatars.synthetic.posing import normals
from avatars.synthetic.skin import paint
from avatars.synthetic.zbuffer import draw

FOCAL = 1.8  # image widths
FINER = 2  # samples along each side of a pixel
GRAIN = 1.2 / 255  # the camera's noise
SKIN_SHINE = 0.10
SHINE = {
    "lips": 0.22,
    "scalp": 0.05,
    "shoulders": 0.0,
    "mouth": 0.05,
    "tongue": 0.05,
    "right_eyeball": 0.6,
    "left_eyeball": 0.6,
}


@dataclass(frozen=True)
class Studio:
    """What stays the same from picture to picture."""

    head: Head
    actor: Actor
    texture: np.ndarray  # [S, S, 3]
    backdrop: np.ndarray  # [H, W, 3], at FINER times the resolution
    shine: np.ndarray  # [V], how glossy
    size: int


def open_studio(head: Head, actor: Actor, size: int) -> Studio:
    """Paint the actor and the backdrop, once."""
    shine = np.full(len(head.template), SKIN_SHINE)
    for name, gloss in SHINE.items():
        shine[head.regions[name].numpy()] = gloss
    texture = paint(head, actor.look, 1024)
    return Studio(head, actor, texture, _backdrop(actor, FINER * size), shine, size)


def take_picture(studio: Studio, points: np.ndarray, grain_seed: int) -> np.ndarray:
    """uint8 [H, W, 3] of vertices [V, 3] in camera axes."""
    head, side = studio.head, FINER * studio.size
    faces = head.faces.numpy()
    pixels = project(points, side)
    face_id, share = draw(pixels[faces], (side, side))
    seen = face_id >= 0
    face, weight = face_id[seen], share[seen]
    place = _blend(weight, points[faces[face]])
    normal = _unit(_blend(weight, normals(points, faces)[faces[face]]))
    uv = _blend(weight, head.uv.double().numpy()[head.uv_faces.numpy()[face]])
    gloss = _blend(weight, studio.shine[faces[face]][..., None])[:, 0]
    image = studio.backdrop.copy()
    image[seen] = _lit(studio.actor, _texels(studio.texture, uv), normal, place, gloss)
    image = sum(image[i::FINER, j::FINER] for i in range(FINER) for j in range(FINER)) / FINER**2
    image = np.clip(image, 0, 1) ** (1 / 2.2)  # light adds up in linear values
    grain = np.random.default_rng([grain_seed, 77]).normal(0, GRAIN, image.shape)
    return np.round(255 * np.clip(image + grain, 0, 1)).astype(np.uint8)


def project(points: np.ndarray, side: int) -> np.ndarray:  # [*, 3] in camera axes -> [*, 3]
    """Column and row in pixels, and depth, in a picture `side` pixels wide and high."""
    depth = points[..., 2:]
    return np.concatenate([points[..., :2] / depth * FOCAL * side + side / 2, depth], axis=-1)


def _lit(
    actor: Actor, colour: np.ndarray, normal: np.ndarray, place: np.ndarray, gloss: np.ndarray
) -> np.ndarray:  # [N, 3]
    """Reflectance in light: a key lamp, a weaker one opposite, and the room from above."""
    to_eye = _unit(-place)
    key_from = _unit(np.array([actor.key_from]))
    light = np.outer(0.75 + 0.25 * -normal[:, 1], actor.ambient)
    shiny = np.zeros(len(normal))
    sharpness = 20 + 500 * gloss  # skin scatters, eyes mirror
    for direction, strength in ((key_from, 0.75), (key_from * [-1, 0.3, 1], 0.22)):
        facing = normal @ direction[0]
        wrapped = np.clip((facing + 0.15) / 1.15, 0, None)  # skin lets light around corners
        light += strength * np.outer(wrapped, actor.key)
        half = _unit(direction + to_eye)
        glance = np.clip(np.einsum("nk,nk->n", normal, half), 0, None) * (facing > 0)
        shiny += strength * glance**sharpness
    return colour**2.2 * light * 1.15 + (gloss * shiny)[:, None] * np.array(actor.key)


def _texels(texture: np.ndarray, uv: np.ndarray) -> np.ndarray:  # [N, 3]
    """Bilinear look-up; uv (0, 0) is the bottom-left corner."""
    size = len(texture)
    rows, columns = (1 - uv[:, 1]) * size - 0.5, uv[:, 0] * size - 0.5
    return np.stack(
        [
            map_coordinates(texture[..., channel], [rows, columns], order=1, mode="nearest")
            for channel in range(3)
        ],
        axis=1,
    )


def _backdrop(actor: Actor, side: int) -> np.ndarray:  # [H, W, 3] linear
    """A wall that darkens downwards, with things out of focus on it."""
    generator = np.random.default_rng(actor.look.seed + 40)
    down = np.linspace(0, 1, side)[:, None, None]
    wall = (1 - down) * np.array(actor.backdrop[0]) + down * np.array(actor.backdrop[1])
    image = np.repeat(wall, side, axis=1)
    for _ in range(7):
        low = generator.uniform(-0.1, 0.9, 2)
        high = low + generator.uniform(0.08, 0.35, 2)
        rows = slice(*(np.clip([low[0], high[0]], 0, 1) * side).astype(int))
        columns = slice(*(np.clip([low[1], high[1]], 0, 1) * side).astype(int))
        image[rows, columns] *= generator.uniform(0.6, 1.25) * generator.uniform(0.9, 1.1, 3)
    return np.clip(gaussian_filter(image, (0.03 * side, 0.03 * side, 0)), 0, 1) ** 2.2


def _blend(weight: np.ndarray, corners: np.ndarray) -> np.ndarray:  # [N, 3], [N, 3, C] -> [N, C]
    return np.einsum("nc,nck->nk", weight, corners)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.sqrt(np.maximum(np.einsum("nk,nk->n", vectors, vectors), 1e-24))[:, None]
