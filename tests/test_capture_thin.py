"""A rod, a wire and a plate before a wall: reconstructed thin, where ray casting sees them."""

from pathlib import Path

import numpy as np
import pytest

from dnr.capture.folder import Capture, load_views
from dnr.capture.photos import prepare_photos
from dnr.capture.proxy import fused_proxy
from dnr.capture.proxy_surface import without_shell
from dnr.capture.stereo import find_depths
from dnr.geometry.camera_files import write_frames
from dnr.images import png_bytes
from dnr.raster.rasterize import rasterize
from dnr.synthetic.config import SceneConfig
from dnr.synthetic.patterns import Image, Points, paint, plain, waves
from dnr.synthetic.primitives import BOX, CYLINDER
from dnr.synthetic.render import render_view
from dnr.synthetic.scene import Light, Material, Solid
from dnr.synthetic.scenes import assemble
from dnr.synthetic.sketch import Sketch
from dnr.synthetic.viewpoints import aim, band

SIZE = (240, 320)
ROUGH = Material(specular=0.03, shininess=6.0)


def paper(chart: int, st: Points, points: Points, rng: np.random.Generator) -> Image:
    image = plain(st.shape, (0.62, 0.6, 0.5)) + 0.12 * waves(points, rng, 9.0)
    image += 0.1 * waves(points, rng, 30.0) + 0.06 * waves(points, rng, 70.0)
    paint(image, waves(points, rng, 16.0)[..., 0] > 1.0, (0.5, 0.2, 0.25))
    return np.clip(image, 0.04, 0.96)


def bark(chart: int, st: Points, points: Points, rng: np.random.Generator) -> Image:
    image = plain(st.shape, (0.25, 0.3, 0.6)) + 0.14 * waves(points, rng, 12.0)
    return np.clip(image + 0.1 * waves(points, rng, 40.0), 0.04, 0.96)


THIN = Sketch(
    solids=(
        Solid("walls", BOX, (0, 0, 1.2), (1.7, 1.7, 1.3), ROUGH, inward=True),
        Solid("rod", CYLINDER, (-0.25, 0.0, 1.0), (0.035, 0.035, 0.9), ROUGH),
        Solid("wire", CYLINDER, (0.05, -0.1, 1.0), (0.018, 0.018, 0.9), ROUGH),
        Solid("plate", BOX, (0.42, 0.05, 1.0), (0.22, 0.012, 0.3), ROUGH, turn_deg=20.0),
    ),
    painters={"walls": paper, "rod": bark, "wire": bark, "plate": bark},
    lights=(Light((-1, 1, 2.3), (0.5, 0.5, 0.5), 0.2), Light((1, 1.2, 2.3), (0.4, 0.4, 0.4), 0.2)),
    flash=(0.7, 0.7, 0.7),
    train_views=lambda count, size, rng: aim(band(count, -1, 1), np.zeros(3), 50.0, size),
    test_views=lambda count, size, rng: aim(band(count, -1, 1), np.zeros(3), 50.0, size),
    ambient=(0.45, 0.45, 0.45),
    detail={"rod": 3.0, "wire": 3.0, "plate": 2.0},
)


@pytest.mark.slow
def test_thin_things_are_neither_torn_nor_fat(tmp_path: Path) -> None:
    scene = assemble(THIN, SceneConfig("room", SIZE, 1, 0, texture_size=1024))
    angle = np.linspace(0.55, 2.6, 15)
    places = np.stack([np.cos(angle), np.sin(angle), 0.15 * np.sin(5 * angle)], axis=1)
    target = np.array([0, 0, 1.0])
    cameras = aim([0, 0, 1.05] + 1.5 * places, target, 55.0, SIZE)
    views = [render_view(scene, cameras[k]) for k in range(len(cameras))]
    names = [f"{k:02d}.png" for k in range(len(views))]
    for name, view in zip(names, views, strict=True):
        (tmp_path / name).write_bytes(png_bytes(np.rint(view.image * 255).astype(np.uint8)))
    write_frames(tmp_path / "transforms.json", cameras, names)
    capture = Capture(tmp_path, load_views(tmp_path)[0], tmp_path / "mesh.obj", [])
    photos = prepare_photos(capture, tmp_path / "photos")
    mesh = fused_proxy(photos, find_depths(photos))
    fat, torn, shared = [], [], []
    for camera, view in zip(photos.cameras, views, strict=True):
        depth = rasterize(mesh.vertices, without_shell(mesh), camera).depth[0].numpy()
        depth = np.where(depth > 0, depth, 9)
        rays, ahead = camera.rays()[0].numpy(), camera.world_to_camera[0, 2, :3].numpy()
        along = (view.depth / (rays @ ahead))[..., None]
        point = camera.position[0].numpy() + rays * along
        thing = (np.abs(point - [0, 0, 1]) < [0.8, 0.5, 0.95]).all(axis=-1)
        before, behind = (depth < 0.9 * view.depth) & ~thing, (depth > 1.1 * view.depth) & thing
        fat.append(before.mean())
        torn.append(behind.mean())
        shared.append((thing & ~behind).sum() / (thing | before).sum())
    assert np.mean(fat) < 0.025 and np.mean(torn) < 0.015  # of all pixels; things are 12 % of them
    assert np.mean(shared) > 0.77
