"""The thing that was photographed, told apart from what it stands on."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from dnr.capture.folder import Capture, load_views
from dnr.capture.foreground import object_faces
from dnr.capture.object_masks import write_object_masks
from dnr.capture.photos import prepare_photos
from dnr.capture.stored_images import read_mask
from dnr.geometry.camera_files import write_frames
from dnr.geometry.cameras import Camera, look_at
from dnr.geometry.meshes import Mesh
from dnr.images import png_bytes

SIZE, FOCAL = (90, 120), 110.0
LENS = (0.12, -0.05, 0.004, -0.003)  # k1 k2 p1 p2
BALLS = (np.zeros(3), 0.45), (np.array([0.75, 0.1, -0.25]), 0.2)
FLOOR = -0.45


def orbit(count: int = 9) -> Camera:
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    at = np.stack([2.6 * np.cos(angle), 2.6 * np.sin(angle), 1.2 + 0.3 * np.sin(3 * angle)], 1)
    matrix = torch.tensor([[FOCAL, 0, 61.0], [0, FOCAL, 44.0], [0, 0, 1]]).repeat(count, 1, 1)
    up = torch.tensor([0.0, 0.0, 1.0])
    poses = look_at(torch.tensor(at, dtype=torch.float32), torch.tensor([0.1, 0, -0.1]), up)
    return Camera(poses, matrix, SIZE)


def ball(centre: np.ndarray, radius: float, steps: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """Closed: every row of quads runs from pole to pole."""
    polar, around = np.mgrid[0 : np.pi : (steps + 1) * 1j, 0 : 2 * np.pi : (steps + 1) * 1j]
    points = np.stack(
        [np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around), np.cos(polar)], axis=-1
    )
    return centre + radius * points.reshape(-1, 3), quads(steps)


def quads(steps: int) -> np.ndarray:
    first = (np.arange(steps)[:, None] * (steps + 1) + np.arange(steps)).reshape(-1)
    right, down = first + 1, first + steps + 1
    return np.concatenate([np.stack([first, down, right], 1), np.stack([right, down, down + 1], 1)])


def scene(with_balls: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Two balls, one of which the floor touches, on a floor that is wider than every photo."""
    steps = 40
    side = np.linspace(-6, 6, steps + 1)
    floor = np.stack([*np.meshgrid(side, side), np.full((steps + 1, steps + 1), FLOOR)], axis=-1)
    parts = [(floor.reshape(-1, 3), quads(steps))]
    parts += [ball(*place) for place in BALLS] if with_balls else []
    start, vertices, faces = 0, [], []
    for points, corners in parts:
        vertices.append(points)
        faces.append(corners + start)
        start += len(points)
    return np.concatenate(vertices).astype(np.float32), np.concatenate(faces).astype(np.int32)


def photo(camera: Camera, index: int, distorted: bool) -> tuple[np.ndarray, np.ndarray]:
    """Red balls on a grey floor under a white sky, and which pixels are balls, by ray casting."""
    row, column = np.mgrid[: SIZE[0], : SIZE[1]].astype(np.float64)
    places = np.stack([column + 0.5, row + 0.5], axis=-1).reshape(-1, 1, 2)
    matrix = camera.intrinsics[index].double().numpy()
    lens = np.array(LENS if distorted else (0.0,) * 4)
    flat = cv2.undistortPoints(places, matrix, lens).reshape(*SIZE, 2)
    pose = camera.world_to_camera[index].double().numpy()
    rays = np.concatenate([flat, np.ones((*SIZE, 1))], axis=-1) @ pose[:3, :3]
    centre = -pose[:3, :3].T @ pose[:3, 3]
    on_ball = np.zeros(SIZE, bool)
    for middle, radius in BALLS:
        off = centre - middle
        half = rays @ off
        on_ball |= half**2 > (rays**2).sum(-1) * (off @ off - radius**2)
    floor = np.array([0.45, 0.45, 0.42]) + 0.1 * (
        np.sin(9 * flat[..., :1]) * np.sin(7 * flat[..., 1:])
    )
    colours = np.where(rays[..., 2:] < 0, floor, 0.95)
    colours = np.where(on_ball[..., None], (0.8, 0.2, 0.15), colours)
    return np.rint(255 * colours).astype(np.uint8), on_ball


@pytest.mark.parametrize("distorted", [False, True])
def test_masks_of_photos_fit_the_things_on_the_floor(tmp_path: Path, distorted: bool) -> None:
    cameras = orbit()
    names = [f"images/{index}.png" for index in range(len(cameras))]
    truth = []
    for index, name in enumerate(names):
        pixels, on_ball = photo(cameras, index, distorted)
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(png_bytes(pixels))
        truth.append(on_ball)
    write_frames(tmp_path / "transforms.json", cameras, names)
    if distorted:
        document = json.loads((tmp_path / "transforms.json").read_text())
        document |= dict(zip(("k1", "k2", "p1", "p2"), LENS, strict=True))
        (tmp_path / "transforms.json").write_text(json.dumps(document))
    views, _ = load_views(tmp_path)
    photos = prepare_photos(Capture(tmp_path, views, tmp_path, []), tmp_path / "cache")
    vertices, faces = scene()
    corners = torch.from_numpy(faces).long()
    mesh = Mesh(torch.from_numpy(vertices), corners, torch.zeros(0, 2), corners, corners)
    assert write_object_masks(tmp_path, mesh, photos, views) == len(cameras)
    for view, expected in zip(load_views(tmp_path)[0], truth, strict=True):
        assert view.mask_path is not None
        found = read_mask(view.mask_path) > 127
        assert (found & expected).sum() > 0.93 * (found | expected).sum()


def test_faces_of_the_floor_are_left_out_and_those_of_the_things_kept() -> None:
    cameras = orbit()
    views = [cameras[index] for index in range(len(cameras))]
    vertices, faces = scene()
    chosen = object_faces((vertices, faces), views)
    on_floor = (vertices[faces][:, :, 2] == np.float32(FLOOR)).all(axis=1)
    assert not chosen[on_floor].any()
    higher = vertices[faces].mean(axis=1)[:, 2] > FLOOR + 0.25
    assert chosen[higher].all()


def test_where_nothing_stands_out_nothing_is_written(tmp_path: Path) -> None:
    cameras = orbit()
    views = [cameras[index] for index in range(len(cameras))]
    assert not object_faces(scene(with_balls=False), views).any()
