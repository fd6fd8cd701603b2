"""What each stage of capturing made, as pictures to look at."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from dnr.capture.photos import Photos
from dnr.capture.stereo import Depths
from dnr.files import read_bytes
from dnr.geometry.meshes import Mesh
from dnr.images import write_png
from dnr.raster.rasterize import rasterize
from dnr.raster.surface import interpolate

VIEWS = 6
ATLAS_VIEWS = 24  # photos that colour the atlas
MAP_SIDE = 700
CAPTIONS = {
    "cameras.png": "cameras (red) and points of the scene, from where the cameras spread widest",
    "depths.png": "depth: red is near, pale was filled in between, black is unknown",
    "normals.png": "normals of the mesh: blue faces the camera, red the right, green up",
    "atlas.png": "the mesh in the texture, in the colours that the photos show there",
}
TOWARDS = np.array([1, -1, -1], np.float32)  # right, up and towards the camera are bright
MOST_BYTES = 64 << 20


def stored_pictures(folder: Path) -> list[tuple[str, np.ndarray]]:
    """(caption, uint8 [H, W, 3]) of what stages left in `folder`; none if it was made elsewhere."""
    found = []
    for name, caption in CAPTIONS.items():
        if (folder / name).is_file():
            picture = cv2.imdecode(
                np.frombuffer(read_bytes(folder / name, MOST_BYTES), np.uint8), cv2.IMREAD_COLOR
            )
            if picture is not None:
                found.append((caption, picture[..., ::-1]))
    return found


def draw_cameras(out: Path, photos: Photos, depths: Depths) -> None:
    """Write cameras.png: where the photos were taken, and points of the scene."""
    write_png(out / "cameras.png", _map(depths, photos))


def draw_depths(out: Path, photos: Photos, depths: Depths) -> None:
    """Write depths.png: some photos, above what stereo measured and what it filled in (paler)."""
    columns = []
    for index in _chosen(photos):
        both = np.maximum(depths.confirmed[index], depths.spanned[index])
        colours = _coloured(both)
        paler = ((depths.confirmed[index] == 0) & (both > 0))[..., None]
        columns.append([photos[index].rgb, np.where(paler, 128 + colours // 2, colours)])
    write_png(out / "depths.png", _side_by_side(columns))


def draw_surface(out: Path, mesh: Mesh, photos: Photos) -> None:
    """Write normals.png (some photos, above the mesh's normals there) and atlas.png."""
    columns = []
    for index in _chosen(photos):
        camera = photos.cameras[index]
        fragments = rasterize(mesh.vertices, mesh.faces, camera)
        normal = interpolate(fragments, mesh, camera).normal[0]
        seen = (normal @ camera.world_to_camera[0, :3, :3].T).numpy() * TOWARDS
        picture = np.rint(127.5 * (seen + 1)).astype(np.uint8)
        columns.append(
            [photos[index].rgb, picture * (fragments.face_id[0] >= 0).numpy()[..., None]]
        )
    write_png(out / "normals.png", _side_by_side(columns))
    write_png(out / "atlas.png", _atlas(mesh, _face_colours(mesh, photos)))


def _chosen(photos: Photos) -> list[int]:
    return np.linspace(0, len(photos) - 1, min(VIEWS, len(photos))).round().astype(int).tolist()


def _coloured(depth: np.ndarray) -> np.ndarray:  # float32 [H, W], 0 unknown -> uint8 [H, W, 3]
    """Near is red, far is blue, unknown is black."""
    known = depth > 0
    inverse = 1 / np.where(known, depth, np.inf)
    nearest = np.percentile(inverse[known], 99) if known.any() else 1
    levels = np.rint(255 * np.clip(inverse / nearest, 0, 1)).astype(np.uint8)
    return cv2.applyColorMap(levels, cv2.COLORMAP_TURBO)[..., ::-1] * known[..., None]


def _side_by_side(columns: list[list[np.ndarray]]) -> np.ndarray:  # uint8 [H, W, 3]
    stacked = [np.concatenate(column) for column in columns]
    height = max(len(column) for column in stacked)
    padded = [np.pad(c, ((0, height - len(c)), (0, 4), (0, 0))) for c in stacked]
    return np.concatenate(padded, axis=1)


def _map(depths: Depths, photos: Photos) -> np.ndarray:  # uint8 [S, S, 3]
    """Points in the photos' colours, and cameras (red, with their viewing direction), seen along
    the direction in which the cameras are spread least."""
    centres = np.array([view.centre for view in depths.views])
    forward = np.array([view.world_to_camera[2, :3] for view in depths.views])
    points, colours = depths.points.positions, _point_colours(depths, photos)
    if len(points):
        low, high = np.percentile(points, [2, 98], axis=0)
        inside = ((points >= low) & (points <= high)).all(axis=1)
        points, colours = points[inside], colours[inside]
    everything = np.concatenate([points, centres])
    middle = everything.mean(axis=0)
    axes = np.linalg.svd(centres - centres.mean(axis=0), full_matrices=False)[2][:2]
    flat = (everything - middle) @ axes.T
    scale = 0.45 * MAP_SIDE / max(np.abs(flat).max(), 1e-9)
    picture = np.full((MAP_SIDE, MAP_SIDE, 3), 255, np.uint8)
    places = np.rint(flat * scale + MAP_SIDE / 2).astype(int).clip(1, MAP_SIDE - 1)
    for shift in ((0, 0), (0, -1), (-1, 0), (-1, -1)):
        picture[places[: len(points), 1] + shift[0], places[: len(points), 0] + shift[1]] = colours
    directions = np.rint(forward @ axes.T * 0.05 * MAP_SIDE).astype(int)
    for place, direction in zip(places[len(points) :], directions, strict=True):
        start = (int(place[0]), int(place[1]))
        end = (start[0] + int(direction[0]), start[1] + int(direction[1]))
        cv2.line(picture, start, end, (200, 30, 30), 1, cv2.LINE_AA)
        cv2.circle(picture, start, 3, (200, 30, 30), -1, cv2.LINE_AA)
    return picture


def _point_colours(depths: Depths, photos: Photos) -> np.ndarray:  # uint8 [N, 3]
    """What the first photo that found each point shows there."""
    colours = np.zeros((len(depths.points.positions), 3), np.uint8)
    for index, view in enumerate(depths.views):
        own = depths.points.pairs[:, 0] == index
        place = view.project(depths.points.positions[own])[:, :2].astype(int)
        last = np.array(view.grey.shape)[::-1] - 1
        column, row = place.clip(0, last).T
        colours[own] = photos[index].rgb[row, column]
    return colours


def _face_colours(mesh: Mesh, photos: Photos) -> np.ndarray:  # uint8 [F, 3]
    """The mean colour that some photos show of each face; grey where none of them does."""
    sums, count = np.zeros((len(mesh), 3)), np.zeros(len(mesh))
    for index in np.linspace(0, len(photos) - 1, min(ATLAS_VIEWS, len(photos))).astype(int):
        face = rasterize(mesh.vertices, mesh.faces, photos.cameras[index]).face_id[0].numpy()
        hit = (face >= 0) & (photos[index].valid == 255)
        count += np.bincount(face[hit], minlength=len(mesh))
        for channel in range(3):
            sums[:, channel] += np.bincount(
                face[hit], photos[index].rgb[hit][:, channel], len(mesh)
            )
    colours = np.where(count[:, None] > 0, sums / np.maximum(count, 1)[:, None], 200)
    return np.rint(colours).astype(np.uint8)


def _atlas(mesh: Mesh, colours: np.ndarray) -> np.ndarray:  # uint8 [S, S, 3]
    """The triangles in the texture, on white."""
    corners = mesh.uvs[mesh.uv_faces].numpy() * (1, -1) + (0, 1)  # v points up, rows down
    places = np.rint(corners * (MAP_SIDE * 2 - 1)).astype(np.int32)
    picture = np.full((MAP_SIDE * 2, MAP_SIDE * 2, 3), 255, np.uint8)
    for triangle, colour in zip(places, colours.tolist(), strict=True):
        cv2.fillConvexPoly(picture, triangle, colour, cv2.LINE_AA)
    return cv2.resize(picture, (MAP_SIDE, MAP_SIDE), interpolation=cv2.INTER_AREA)
