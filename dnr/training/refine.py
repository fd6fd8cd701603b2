"""Geometry from photos: a mesh that is a little wrong is moved to where its photos agree.

Each round rasterises the mesh into the training photos, averages them onto a plain colour texture,
and descends on colours and vertices together: moving a vertex slides texture under the pixels
around it (parallax.py), and photos that disagree pull it until they agree. Steps are smooth over
the surface ("Large steps in inverse rendering of geometry", Nicolet et al. 2021), so that the few
vertices with texture near them carry the rest along.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import scipy.sparse
import scipy.sparse.linalg
import torch
from torch import Tensor

from dnr.capture.photos import Photos
from dnr.geometry.cameras import Camera
from dnr.geometry.meshes import Mesh
from dnr.geometry.subdivision import subdivided
from dnr.raster.edges import edge_pixels
from dnr.raster.rasterize import rasterize
from dnr.raster.surface import centre_hits, surface_at
from dnr.textures.projection import SeenPixels, mean_colours, paint_pyramid
from dnr.textures.pyramid import Pyramid
from dnr.textures.row_adam import RowAdam
from dnr.textures.slope import uv_slope
from dnr.training.parallax import FaceFrames, face_frames, offset_gradient, slid_uv

ROUNDS = 5
STEPS = 100
BATCH = 8192
PIXELS = 1_500_000
"""Pixels of all photos together that one round looks at."""
TEXTURE_SIZES = (512, 256, 128, 64)
TEXTURE_RATE = 0.01
VERTEX_RATE = 0.02
"""Of the mesh's diameter, per step, before smoothing takes most of it away."""
STIFFNESS = (60.0, 15.0)
"""Smoothness of the steps in the first and the last round: influence fades over about the square
root of it, in edges."""
FACES = 16_000
"""Coarser meshes are subdivided until they have so many."""
CHECKED_EVERY = 6
"""Each so-manieth photo takes no part and decides whether a round was an improvement."""
FEWEST_PHOTOS = 8
"""Fewer cannot both move the mesh and judge it."""
MOST_FACES = 100_000
"""The smooth steps factorise a matrix of that order; finer meshes need no such help."""
WORTHWHILE = 0.98
"""A round that does not bring the error below this share of the best one is undone."""
PATIENCE = 1
"""So many rounds in a row may be undone; one more ends it."""


class Points(NamedTuple):
    """Pixels of many photos and what they see."""

    face: np.ndarray  # int32 [N]
    weights: np.ndarray  # float32 [N, 3], barycentric
    uv: np.ndarray  # float32 [N, 2]
    view: np.ndarray  # float32 [N, 3]
    footprint: np.ndarray  # float32 [N, 1]
    colour: np.ndarray  # float32 [N, 3]


def refine_mesh(
    mesh: Mesh, photos: Photos, seed: int, shown: Callable[[int], object] = int
) -> tuple[Mesh, str]:
    """The mesh moved to fit the photos as far as photos left aside agree; and a note on it."""
    if len(photos) < FEWEST_PHOTOS or len(mesh) > MOST_FACES:
        return mesh, (
            f"the mesh was not moved: that takes at least {FEWEST_PHOTOS} photos and at most "
            f"{MOST_FACES} faces"
        )
    rng = np.random.default_rng([seed, 1])
    checked = list(range(CHECKED_EVERY // 2, len(photos), CHECKED_EVERY))
    used = photos.chosen([i for i in range(len(photos)) if i not in checked])
    checked = photos.chosen(checked)
    start = mesh
    while 2 * len(mesh) <= FACES:
        mesh = subdivided(mesh)
    points = collect_points(mesh, used, PIXELS, rng)
    other = np.random.default_rng([seed, 2])
    if not len(points.face) or not len(collect_points(mesh, checked, PIXELS, other).face):
        return start, "the mesh was not moved: too few photos show it away from its edges"
    first = best = _disagreement(points, mesh, checked)
    kept, missed = start, 0
    for number in range(ROUNDS):
        share = number / max(ROUNDS - 1, 1)
        stiffness = STIFFNESS[0] ** (1 - share) * STIFFNESS[1] ** share
        offsets = _round(mesh, points, rng, stiffness, 1 - 0.8 * share)
        moved_mesh = mesh.moved(mesh.vertices + offsets)
        found = collect_points(moved_mesh, used, PIXELS, rng)
        error = _disagreement(found, moved_mesh, checked)
        shown(number + 1)
        if error <= WORTHWHILE * best:
            best, kept, mesh, points, missed = error, moved_mesh, moved_mesh, found, 0
            continue
        missed += 1  # one round may be unlucky, and the next one is finer
        if missed > PATIENCE:
            break
    if kept is start:
        return start, "the photos agree with the mesh as it is; it was not changed"
    moved = float((kept.vertices - _subdivided_like(start, kept)).norm(dim=-1).mean())
    return kept, (
        f"the mesh was moved to fit the photos, on average by {100 * moved / start.diameter():.2f} "
        f"% of its size; the error of a plain texture on photos left aside fell to "
        f"{100 * best / first:.0f} %"
    )


def _subdivided_like(mesh: Mesh, like: Mesh) -> Tensor:
    while len(mesh) < len(like):
        mesh = subdivided(mesh)
    return mesh.vertices


def _round(
    mesh: Mesh, points: Points, rng: np.random.Generator, stiffness: float, rate: float
) -> Tensor:  # [V, 3]
    """Vertex offsets that make the photos agree better, by joint descent on colours and them."""
    frames = face_frames(mesh)
    pyramid = textured(points)
    adam = RowAdam(
        pyramid,
        torch.full((len(TEXTURE_SIZES), 3), TEXTURE_RATE),
        torch.zeros(len(TEXTURE_SIZES), 3),
    )
    smooth = _smoother(mesh, stiffness)
    offsets = np.zeros(mesh.vertices.shape, np.float32)
    mean, square = np.zeros_like(offsets), 0.0
    size = mesh.diameter() * VERTEX_RATE * rate
    for step in range(1, STEPS + 1):
        batch = _draw(points, rng)
        uv = slide(batch, frames, offsets)
        to_uv, to_colour = _slopes(pyramid, batch, uv)
        adam.step(uv, torch.from_numpy(batch.footprint), to_colour, 1.0)
        gradient = np.zeros_like(offsets)
        offset_gradient(batch.face, batch.weights, batch.view, to_uv, *frames, gradient)
        # Uniform Adam: one step size for all vertices, in coordinates where steps are smooth.
        gradient = smooth(gradient)
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.99 * square + 0.01 * float(np.square(gradient).sum(axis=1).max())
        step_size = size / (1 - 0.9**step) / np.sqrt(square / (1 - 0.99**step) + 1e-30)
        offsets = (offsets - step_size * smooth(mean)).astype(np.float32)
    return torch.from_numpy(offsets)


def _draw(points: Points, rng: np.random.Generator) -> Points:
    chosen = rng.integers(0, len(points.face), BATCH)
    return Points(*(field[chosen] for field in points))


def slide(batch: Points, frames: FaceFrames, offsets: np.ndarray) -> Tensor:  # [N, 2]
    """The uvs of a batch on the displaced surface."""
    uv = np.empty_like(batch.uv)
    slid_uv(batch.face, batch.weights, batch.view, batch.uv, offsets, *frames, uv)
    return torch.from_numpy(uv)


def _slopes(pyramid: Pyramid, batch: Points, uv: Tensor) -> tuple[np.ndarray, Tensor]:
    """Gradients of the mean absolute error with respect to uv [N, 2] and colour [N, 3]."""
    footprint = torch.from_numpy(batch.footprint)
    colour = pyramid.look_up(uv, footprint)
    to_colour = (colour - torch.from_numpy(batch.colour)).sign() / colour.numel()
    to_uv = np.empty(uv.shape, np.float32)
    texels, sizes = pyramid.texels.detach().numpy(), np.array(pyramid.sizes)
    lookups = (uv.numpy(), batch.footprint, to_colour.numpy())
    uv_slope(texels, sizes, pyramid.always, *lookups, to_uv)
    return to_uv, to_colour


def textured(points: Points) -> Pyramid:
    """A plain colour texture: the mean over the points."""
    seen = SeenPixels(points.uv, points.colour, np.ones(len(points.uv), np.float32))
    pyramid = Pyramid(TEXTURE_SIZES, 3, always=TEXTURE_SIZES[-1] + 1)
    levels = [pyramid.level(index).data for index in range(len(TEXTURE_SIZES))]
    paint_pyramid(levels, mean_colours([seen], TEXTURE_SIZES[0]))
    return pyramid.requires_grad_(False)


def _disagreement(points: Points, mesh: Mesh, checked: Photos) -> float:
    """Mean absolute error, on photos left aside, of a plain texture made from `points`."""
    pyramid = textured(points)
    seen = collect_points(mesh, checked, PIXELS // 4, np.random.default_rng(0))
    shown = pyramid.look_up(torch.from_numpy(seen.uv), torch.from_numpy(seen.footprint))
    return float((shown - torch.from_numpy(seen.colour)).abs().mean())


def collect_points(mesh: Mesh, photos: Photos, most: int, rng: np.random.Generator) -> Points:
    """At most `most` random pixels of all photos that see the mesh away from its edges."""
    parts = []
    normals = mesh.normals()
    for index, camera in enumerate(photos.cameras):
        photo = photos[index]
        usable = (photo.valid == 255) & (photo.alpha == 255)
        parts.append(
            _seen_points(mesh, camera, photo.rgb, usable, most // len(photos), normals, rng)
        )
    return Points(*(np.concatenate(field) for field in zip(*parts, strict=True)))


def _seen_points(
    mesh: Mesh,
    camera: Camera,
    rgb: np.ndarray,
    usable: np.ndarray,
    most: int,
    normals: Tensor,
    rng: np.random.Generator,
) -> Points:
    fragments = rasterize(mesh.vertices, mesh.faces, camera)
    clear = ~edge_pixels(fragments, mesh, camera) & torch.from_numpy(usable)[None]
    face_id = torch.where(clear, fragments.face_id, -1).reshape(-1)
    hits = centre_hits(face_id, fragments.barycentric.reshape(-1, 3))
    chosen = torch.from_numpy(rng.permutation(len(hits.pixel))[:most])
    hits = type(hits)(*(field[chosen] for field in hits))
    surface = surface_at(hits, mesh, camera, normals)
    colour = rgb.reshape(-1, 3)[hits.pixel.numpy()].astype(np.float32) / 255
    return Points(
        hits.face_id.numpy(),
        hits.barycentric.numpy(),
        surface.uv.numpy(),
        surface.view.numpy(),
        surface.footprint.numpy(),
        colour,
    )


def _smoother(mesh: Mesh, stiffness: float) -> Callable[[np.ndarray], np.ndarray]:
    """Solves (I + stiffness L) x = y for the graph Laplacian L of the mesh."""
    count = len(mesh.vertices)
    ends = mesh.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2).numpy()
    ends = np.unique(np.sort(ends, axis=1), axis=0)
    ones = np.ones(len(ends))
    graph = scipy.sparse.coo_array((ones, (ends[:, 0], ends[:, 1])), (count, count))
    graph = graph + graph.T
    degree = scipy.sparse.diags_array(np.asarray(graph.sum(axis=1)).reshape(-1))
    system = scipy.sparse.eye_array(count) + stiffness * (degree - graph)
    return scipy.sparse.linalg.splu(system.tocsc()).solve
