"""Cameras from photos: each is turned, moved and zoomed a little until its photo fits the others.

By turns: all photos are averaged onto a plain texture of the mesh; then each photo's camera takes
one Gauss-Newton step that brings the photo closer to that texture. A pixel's ray meets the plane of
the face that it sees, so what a small motion of the camera does to its place in the texture, and
with the texture's slope to its colour, has a closed form.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from dnr.capture.photos import Photos
from dnr.geometry.cameras import Camera
from dnr.geometry.meshes import Mesh
from dnr.raster.edges import edge_pixels
from dnr.raster.rasterize import rasterize
from dnr.raster.surface import centre_hits, surface_at
from dnr.textures.projection import SeenPixels, mean_colours, paint_pyramid
from dnr.textures.pyramid import COLOURS, Pyramid
from dnr.textures.slope import uv_slope
from dnr.training.parallax import FaceFrames, face_frames

ROUNDS = 8
GAIN_ROUNDS = 4
"""Before the first: photos must not be moved because one is darker than the others."""
PIXELS = 40_000
"""Of each photo, that are looked at."""
COARSER = (4, 4, 2, 2)
"""How much coarser than the photos the texture is in the first rounds: coarse detail pulls from
further away."""
SMALLEST, LARGEST = 32, 1024
"""Texels along a side."""
ROBUST = 0.02
"""Errors beyond count by their size instead of its square."""
GRAZING = 0.15
MOST_PX = 4.0
"""A step that moves a photo further in one round is not believed."""
STIFFNESS = np.array([1e-4] * 6 + [1e-2])
"""Share of the mean curvature that holds back way, turn and zoom: a photo can hardly tell zoom from
way, and the other photos mostly have the same lens."""
LEAST_SHARED = 0.5
"""Of the squared motion in pictures, to be taken for a motion of all cameras against the mesh."""
EACH = 7
"""Points between those that motion in pixels is measured on."""
LEAST_PIXELS = 500


class Sight(NamedTuple):
    """Some pixels of one photo, and what they see."""

    face: np.ndarray  # int32 [N]
    uv: np.ndarray  # float32 [N, 2]
    footprint: np.ndarray  # float32 [N, 1]
    point: np.ndarray  # float32 [N, 3]
    facing: np.ndarray  # float32 [N]
    colour: np.ndarray  # float32 [N, 3]


def refine_cameras(
    mesh: Mesh, photos: Photos, seed: int, shown: Callable[[int], object] = int
) -> tuple[Photos, str]:
    """The photos with cameras that fit each other better on `mesh`; and a note on it.

    Held-out photos take no part. If most of what the training photos do is one motion of them all,
    it is theirs too: it says how the cameras stand to the mesh.
    """
    frames = face_frames(mesh)
    used = [i for i, split in enumerate(photos.splits) if split == "train"]
    cameras, gains = list(photos.cameras), np.ones((len(photos), 3), np.float32)
    first = best = np.inf
    kept, finest = cameras, LARGEST
    for number in range(ROUNDS + 1):
        sights = {i: _sight(mesh, cameras[i], photos, i, seed) for i in used}
        finest = _fitting_size(sights) if number == 0 else finest
        for _ in range(GAIN_ROUNDS if number == 0 else 1):
            texture = _textured([sights[i] for i in used], gains[used], finest)
            for i in used:
                gains[i] *= _gain(texture, sights[i], gains[i])
            gains[used] /= np.exp(np.log(gains[used]).mean(axis=0))
        texture = _textured([sights[i] for i in used], gains[used], finest)
        errors = {i: _error(texture, sights[i], gains[i]) for i in used}
        error = float(np.mean([np.abs(errors[i][1]).mean() for i in used if len(errors[i][1])]))
        first = error if number == 0 else first
        if error < best:
            best, kept = error, list(cameras)
        if number == ROUNDS:
            break
        coarser = COARSER[number] if number < len(COARSER) else 1
        side = max(finest // coarser, SMALLEST)
        slope = _textured([sights[i] for i in used], gains[used], side)
        for i in used:
            cameras[i] = _stepped(cameras[i], sights[i], frames, slope, gains[i])
        shown(number + 1)
    if best > 0.995 * first:
        return photos, "the photos agree with their cameras as they are; these were not changed"
    before, after = [photos.cameras[i] for i in used], [kept[i] for i in used]
    common = _common_motion(before, after, [sights[i] for i in used])
    cameras = [kept[i] if i in used else common(camera) for i, camera in enumerate(photos.cameras)]
    moved = [_moved_px(sights[i], photos.cameras[i], cameras[i]) for i in used]
    return replace(photos, cameras=cameras), (
        f"cameras were refined, by {np.mean(moved):.2f} pixels on average and {max(moved):.2f} at "
        f"most; the photos' error against their common texture fell to {100 * best / first:.0f} %"
    )


def _sight(mesh: Mesh, camera: Camera, photos: Photos, index: int, seed: int) -> Sight:
    photo = photos[index]
    fragments = rasterize(mesh.vertices, mesh.faces, camera)
    usable = torch.from_numpy((photo.valid == 255) & (photo.alpha == 255))[None]
    clear = ~edge_pixels(fragments, mesh, camera) & usable
    face_id = torch.where(clear, fragments.face_id, -1).reshape(-1)
    hits = centre_hits(face_id, fragments.barycentric.reshape(-1, 3))
    some = np.random.default_rng([seed, index]).permutation(len(hits.pixel))[:PIXELS]
    hits = type(hits)(*(field[torch.from_numpy(some)] for field in hits))
    surface = surface_at(hits, mesh, camera)
    colour = photo.rgb.reshape(-1, 3)[hits.pixel.numpy()].astype(np.float32) / 255
    facing = (surface.normal * surface.view).sum(dim=-1)
    where = surface.uv.numpy(), surface.footprint.numpy(), surface.position.numpy()
    return Sight(hits.face_id.numpy(), *where, facing.numpy(), colour)


def _fitting_size(sights: dict[int, Sight]) -> int:
    """Texels along a side of a texture as fine as the photos."""
    typical = np.median(np.concatenate([sight.footprint[::EACH, 0] for sight in sights.values()]))
    return int(2 ** np.clip(np.rint(-np.log2(typical)), np.log2(SMALLEST), np.log2(LARGEST)))


def _textured(sights: list[Sight], gains: np.ndarray, side: int) -> Pyramid:  # [V, 3]
    """The mean of the photos, each at a gain of one."""
    seen = (
        SeenPixels(sight.uv, sight.colour / gain, sight.facing.clip(0.05))
        for sight, gain in zip(sights, gains, strict=True)
    )
    sizes = tuple(side >> level for level in range(4))
    pyramid = Pyramid(sizes, COLOURS, always=side + 1)
    levels = [pyramid.level(index).data for index in range(len(sizes))]
    paint_pyramid(levels, mean_colours(seen, side))
    return pyramid.requires_grad_(False)


def _error(texture: Pyramid, sight: Sight, gain: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the texture shows, and by how much the photo differs; [N, 3] each."""
    shown = texture.look_up(torch.from_numpy(sight.uv), torch.from_numpy(sight.footprint)).numpy()
    return shown, sight.colour / gain - shown


def _gain(texture: Pyramid, sight: Sight, gain: np.ndarray) -> np.ndarray:  # [3]
    """The factor that is still missing."""
    shown, error = _error(texture, sight, gain)
    bright = (shown > 0.05) & (sight.colour < 0.98) & (sight.colour > 0.05)
    ratios = [
        np.median(1 + error[bright[:, c], c] / shown[bright[:, c], c]) if bright[:, c].any() else 1
        for c in range(3)
    ]
    return np.array(ratios, np.float32).clip(0.5, 2)


def _stepped(
    camera: Camera, sight: Sight, frames: FaceFrames, texture: Pyramid, gain: np.ndarray
) -> Camera:
    """The camera after one step; unchanged if its photo says too little or asks for too much."""
    if len(sight.face) < LEAST_PIXELS:
        return camera
    motion = _motion_of_colour(camera, sight, frames, texture)  # [N, 3, 7]
    _, error = _error(texture, sight, gain)
    weight = 1 / np.maximum(np.abs(error), ROBUST)
    weight[(sight.colour > 0.98) | (sight.facing < GRAZING)[:, None]] = 0
    rows, errors = motion.reshape(-1, 7), error.reshape(-1)
    weighted = rows * weight.reshape(-1, 1)
    curvature = weighted.T @ rows
    curvature += np.diag(STIFFNESS * np.diag(curvature).mean())
    step = np.linalg.solve(curvature, weighted.T @ errors)
    stepped = _after(camera, step, _depth(camera, sight).mean())
    sensible = np.isfinite(step).all() and _moved_px(sight, camera, stepped) < MOST_PX
    return stepped if sensible else camera


def _motion_of_colour(
    camera: Camera, sight: Sight, frames: FaceFrames, texture: Pyramid
) -> np.ndarray:  # [N, 3, 7]
    """How every channel of every pixel changes with the parameters of `_after`."""
    matrix = camera.world_to_camera[0].double().numpy()
    depth = _depth(camera, sight)
    ray = (sight.point - camera.position[0].double().numpy()) / depth[:, None]
    aside = ray @ matrix[:3, :3].T * (1, 1, 0) @ matrix[:3, :3]
    far, one = depth.mean(), np.broadcast_to(np.eye(3), (len(ray), 3, 3))
    turned = -depth[:, None, None] * _cross_matrix(ray)
    zoomed = -depth[:, None, None] * aside[:, :, None]
    way = np.concatenate([far * one, turned, zoomed], axis=2)  # of the ray's point, [N, 3, 7]
    normal = frames.normal[sight.face].astype(np.float64)
    along = (normal[:, None] @ way) / (normal * ray).sum(axis=1)[:, None, None]
    way = way - ray[:, :, None] * along  # back onto the plane of the face
    in_texture = frames.uv_gradient[sight.face] @ way  # [N, 2, 7]
    return _slopes(texture, sight) @ in_texture


def _slopes(texture: Pyramid, sight: Sight) -> np.ndarray:  # [N, 3, 2]
    """Of the texture's channels, along u and v."""
    texels, sizes = texture.texels.detach().numpy(), np.array(texture.sizes)
    slopes = np.empty((len(sight.uv), COLOURS, 2), np.float32)
    for channel in range(COLOURS):
        one = np.zeros((len(sight.uv), COLOURS), np.float32)
        one[:, channel] = 1
        out = np.empty((len(sight.uv), 2), np.float32)
        uv_slope(texels, sizes, texture.always, sight.uv, sight.footprint, one, out)
        slopes[:, channel] = out
    return slopes


def _cross_matrix(vectors: np.ndarray) -> np.ndarray:  # [N, 3] -> [N, 3, 3]
    x, y, z = vectors.T
    zero = np.zeros_like(x)
    return np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=1).reshape(-1, 3, 3)


def _after(camera: Camera, step: np.ndarray, far: float) -> Camera:  # [7]
    """Moved by step[:3] * far, turned about the axis step[3:6], zoomed by exp(step[6])."""
    centre = camera.position[0].double().numpy() + step[:3] * far
    turn = Rotation.from_rotvec(step[3:6]).as_matrix()
    return _at(camera, camera.world_to_camera[0, :3, :3].double().numpy() @ turn.T, centre, step[6])


def _at(camera: Camera, rotation: np.ndarray, centre: np.ndarray, zoom: float) -> Camera:
    """The camera elsewhere; `zoom` is the logarithm of a factor."""
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation, -rotation @ centre
    lens = camera.intrinsics.clone()
    lens[:, 0, 0] *= float(np.exp(zoom))
    lens[:, 1, 1] *= float(np.exp(zoom))
    return Camera(torch.from_numpy(matrix)[None].to(lens.dtype), lens, camera.size)


def _common_motion(
    before: list[Camera], after: list[Camera], sights: list[Sight]
) -> Callable[[Camera], Camera]:
    """What all cameras did alike, as far as it shows in their pictures, to be done to others."""
    middle = np.mean([sight.point.mean(axis=0) for sight in sights], axis=0)
    far = float(np.mean([_depth(c, s).mean() for c, s in zip(before, sights, strict=True)]))

    def moved(camera: Camera, motion: np.ndarray) -> Camera:  # [8]: way, turn, size, zoom
        turn = Rotation.from_rotvec(motion[3:6]).as_matrix()
        place = np.exp(motion[6]) * (camera.position[0].double().numpy() - middle)
        rotation = camera.world_to_camera[0, :3, :3].double().numpy() @ turn.T
        return _at(camera, rotation, turn @ place + middle + motion[:3] * far, motion[7])

    rows, wanted, tiny = [], [], 1e-4
    for old, new, sight in zip(before, after, sights, strict=True):
        if len(sight.face):
            wanted.append(_way(sight, old, new))
            ways = [_way(sight, old, moved(old, tiny * one)) / tiny for one in np.eye(8)]
            rows.append(np.stack(ways, axis=1))
    rows, wanted = np.concatenate(rows), np.concatenate(wanted)
    found = np.linalg.lstsq(rows, wanted, rcond=1e-6)[0]
    shared = 1 - np.square(wanted - rows @ found).sum() / max(np.square(wanted).sum(), 1e-12)
    # Independent errors of a few cameras also have a mean, which others do not share.
    return lambda camera: moved(camera, found) if shared > LEAST_SHARED else camera


def _depth(camera: Camera, sight: Sight) -> np.ndarray:  # float64 [N]
    matrix = camera.world_to_camera[0].double().numpy()
    return sight.point @ matrix[2, :3] + matrix[2, 3]


def _way(sight: Sight, before: Camera, after: Camera) -> np.ndarray:  # [2 n]
    """Of some seen points in the picture, in pixels."""
    points = torch.from_numpy(sight.point[::EACH]).double()
    ends = [camera.to(points).project(points)[0, :, :2] for camera in (after, before)]
    return (ends[0] - ends[1]).reshape(-1).numpy()


def _moved_px(sight: Sight, before: Camera, after: Camera) -> float:
    """How far the seen points move in the picture, root mean square."""
    way = _way(sight, before, after)
    return float(np.sqrt(2 * np.square(way).mean())) if len(way) else 0.0
