"""Which part of a surface is the thing that was photographed, and which is what it stands on.

The thing lies in the middle of the photos and seldom crosses their borders; tables, floors and
walls are flat and do. Nothing is learned, so a thing that fills the photos cannot be told apart.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from scipy import sparse
from scipy.sparse import csgraph

from dnr.capture.proxy_surface import Triangles
from dnr.geometry.cameras import Camera
from dnr.raster.rasterize import rasterize

HEIGHT = 120  # of the pictures in which faces are counted
MOST_PLANES = 10
LEAST_PLANE = 0.06  # of the pixels that are left
THICK = 0.012  # of the scene: how far faces may be from a plane that they belong to
TRIALS = 400
CROSSING = 0.5  # of the photos that show a part: background crosses the border of so many
RIM = 0.02  # of a photo's side
WIDE = 0.12  # of the rim: less is a thing that is cut off, more is something wider than the photo
LEAST_OBJECT = 0.03  # of all photos, more in their middle
MOST_PARTS = 20
LEAST_PART = 0.02  # of the largest part's pixels: smaller things beside it are not meant
LEAST_SHARE = 0.02  # of a photo, to count as shown
ALIGNED = 0.8  # cosine between a plane and the faces that belong to it
WALL = 0.2  # of all pixels: a plane so large also takes away what lies behind it


class Sightings(NamedTuple):
    """Every pixel that shows the surface."""

    face: np.ndarray  # int64 [N]
    photo: np.ndarray  # int64 [N]
    on_rim: np.ndarray  # bool [N]: beside the border of the photo
    weight: np.ndarray  # float64 [N]: 1 in the middle of the photo, little at its border
    pixels: int  # of one photo
    centres: np.ndarray  # float64 [P, 3], of the cameras


def object_faces(surface: Triangles, cameras: list[Camera]) -> np.ndarray:  # bool [F]
    """The faces of the thing that was photographed; none if nothing stands out."""
    vertices, faces = surface
    seen = _look(surface, cameras)
    left, flat_object = np.ones(len(faces), bool), np.zeros(len(faces), bool)
    generator = np.random.default_rng(0)
    for _ in range(MOST_PLANES):
        flat, behind = _largest_plane(surface, seen, left & ~flat_object, generator)
        if not flat.any():
            break
        if _is_background(flat, seen):
            left &= ~behind
        else:
            flat_object |= flat
    return _main_parts(_parts(faces, left, len(vertices)), seen)


def _main_parts(part: np.ndarray, seen: Sightings) -> np.ndarray:  # int [F] -> bool [F]
    """The part that fills most of the photos' middles, and what stands freely beside it."""
    value = np.bincount(part[seen.face], seen.weight, part.max() + 1)
    value[0] = 0  # what is no part of anything
    main = -1
    for number in np.argsort(-value)[:MOST_PARTS].tolist():
        if value[number] < max(LEAST_OBJECT * seen.weight.sum(), 1):
            break
        if not _is_background(part == number, seen):
            main = number
            break
    if main < 0:
        return np.zeros(len(part), bool)
    others = np.flatnonzero((value >= LEAST_PART * value[main]) & (value <= value[main]))
    free = [n for n in others.tolist() if n != main and not _is_cut_off(part == n, seen)]
    return np.isin(part, np.array([main, *free]))


def _look(surface: Triangles, cameras: list[Camera]) -> Sightings:
    points, corners = torch.from_numpy(surface[0]), torch.from_numpy(surface[1])
    face, photo, on_rim, weight, pixels = [], [], [], [], 1
    for index, camera in enumerate(cameras):
        height = min(HEIGHT, camera.size[0])
        width = max(round(camera.size[1] * height / camera.size[0]), 1)
        found = rasterize(points, corners, camera.resized((height, width))).face_id[0].numpy()
        row, column = np.nonzero(found >= 0)
        across = np.stack([(row + 0.5) / height, (column + 0.5) / width])
        face.append(found[row, column])
        photo.append(np.full(len(row), index))
        on_rim.append(np.abs(across - 0.5).max(axis=0) > 0.5 - RIM)
        weight.append(np.exp(-8 * ((across - 0.5) ** 2).sum(axis=0)))
        pixels = height * width
    return Sightings(
        np.concatenate(face),
        np.concatenate(photo),
        np.concatenate(on_rim),
        np.concatenate(weight),
        pixels,
        np.concatenate([camera.position.double().numpy() for camera in cameras]),
    )


def _is_background(chosen: np.ndarray, seen: Sightings) -> bool:  # bool [F]
    """Whether these faces leave most photos that show them, and on a broad front."""
    return _crossing(chosen, seen, LEAST_SHARE * seen.pixels, WIDE * 4 * RIM * seen.pixels)


def _is_cut_off(chosen: np.ndarray, seen: Sightings) -> bool:  # bool [F]
    """Whether these faces, which may be few, touch the border of most photos that show them."""
    return _crossing(chosen, seen, 0, 0)


def _crossing(chosen: np.ndarray, seen: Sightings, least: float, least_on_rim: float) -> bool:
    mine = chosen[seen.face]
    count = np.bincount(seen.photo[mine], minlength=1)
    on_rim = np.bincount(seen.photo[mine & seen.on_rim], minlength=len(count))
    crossing = on_rim[count > least] > least_on_rim
    return len(crossing) > 0 and float(crossing.mean()) >= CROSSING


def _largest_plane(
    surface: Triangles, seen: Sightings, left: np.ndarray, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:  # bool [F], bool [F]
    """The faces on the plane that most pixels show, and those on it or behind it."""
    vertices, faces = surface
    centres = vertices[faces].mean(axis=1).astype(np.float64)
    count = np.bincount(seen.face, minlength=len(faces)) * left
    nothing = np.zeros(len(faces), bool)
    if np.count_nonzero(count) < 3:
        return nothing, nothing
    pool = centres[generator.choice(len(faces), 6000, p=count / count.sum())]
    thick = THICK * float(np.linalg.norm(np.ptp(pool, axis=0)))
    best, best_votes = (np.zeros(3), 0.0), 0
    for triple in generator.integers(len(pool), size=(TRIALS, 3)):
        a, b, c = pool[triple]
        normal = np.cross(b - a, c - a)
        length = np.linalg.norm(normal)
        if length > 1e-12:
            normal /= length
            agreeing = np.count_nonzero(np.abs((pool - a) @ normal) < thick)
            if agreeing > best_votes:
                best, best_votes = (normal, float(normal @ a)), agreeing
    if best_votes < LEAST_PLANE * len(pool):
        return nothing, nothing
    height = centres @ best[0] - best[1]
    along = _normals(surface) @ best[0]
    flat = left & (np.abs(height) < thick) & (np.abs(along) > ALIGNED)
    if count[flat].sum() <= WALL * len(seen.face):
        return flat, flat
    front = np.sign(np.median(seen.centres @ best[0] - best[1]))
    return flat, left & (height * front < thick)


def _normals(surface: Triangles) -> np.ndarray:  # [F, 3]
    corners = surface[0][surface[1]].astype(np.float64)
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return across / np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-30)


def _parts(faces: np.ndarray, left: np.ndarray, num_vertices: int) -> np.ndarray:  # int [F]
    """Numbers of the connected parts, from 1; 0 for faces that are not left."""
    kept = faces[left]
    rows, columns = np.concatenate([kept[:, [0, 1]], kept[:, [1, 2]]]).T
    graph = sparse.coo_matrix(
        (np.ones(len(rows), np.int8), (rows, columns)), (num_vertices, num_vertices)
    )
    _, part = csgraph.connected_components(graph, directed=False)
    return np.where(left, part[faces[:, 0]] + 1, 0)
