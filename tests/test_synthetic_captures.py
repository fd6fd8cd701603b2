"""Generated captures: proxies, cameras, and the files that are written."""

import dataclasses
import json
import math

import numpy as np
import pytest
import torch
from PIL import Image

from dnr.errors import InputError
from dnr.geometry.mesh_files import load_mesh
from dnr.synthetic.captures import exposure_gains, write_capture
from dnr.synthetic.config import SceneConfig
from dnr.synthetic.proxy import build_proxy
from dnr.synthetic.render import render_view
from dnr.synthetic.scenes import build_scene, build_views

SMALL = SceneConfig(size=(45, 61), num_train=3, num_test=2, texture_size=256, proxy_faces=3000)


def test_room_is_closed():
    config = dataclasses.replace(SMALL, scene="room", supersampling=1)
    scene = build_scene(config)
    for cameras in build_views(config):
        for index in range(len(cameras)):
            assert render_view(scene, cameras[index]).object_mask.all()


def test_wrong_proxies_are_wrong_by_the_amount_asked_for():
    scene = build_scene(SMALL)
    right = build_proxy(scene, SMALL)
    coarse = build_proxy(scene, dataclasses.replace(SMALL, decimate=0.1))
    assert len(coarse) == pytest.approx(0.1 * len(right), rel=0.02)
    assert 0 <= coarse.uvs.min() and coarse.uvs.max() <= 1
    moved = build_proxy(scene, dataclasses.replace(SMALL, displace=0.01))
    offset = (moved.vertices - right.vertices).norm(dim=1)
    assert offset.mean() == pytest.approx(0.01 * right.diameter(), rel=1e-3)
    edges = right.faces[:, :2]
    jump = (moved.vertices - right.vertices)[edges].diff(dim=1).norm(dim=-1)
    assert jump.mean() < 0.5 * offset.mean()  # neighbours move together
    assert torch.equal(moved.uv_faces, right.uv_faces)


def test_same_config_gives_the_same_files(tmp_path):
    config = dataclasses.replace(SMALL, displace=0.01, decimate=0.3, exposure_drift=0.1)
    folders = tmp_path / "a", tmp_path / "b"
    for folder in folders:
        write_capture(folder, config)
    names = sorted(p.relative_to(folders[0]) for p in folders[0].rglob("*") if p.is_file())
    assert names == sorted(p.relative_to(folders[1]) for p in folders[1].rglob("*") if p.is_file())
    assert len(names) == 5 + 4
    for name in names:
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes()
    other = dataclasses.replace(config, seed=1)
    images = [render_view(build_scene(c), build_views(c)[0][0]).image for c in (config, other)]
    assert np.abs(images[0] - images[1]).max() > 0.05


def test_capture_follows_the_schema(tmp_path):
    config = dataclasses.replace(SMALL, masks=True)
    write_capture(tmp_path / "c", config)
    document = json.loads((tmp_path / "c" / "transforms.json").read_text())
    assert (document["w"], document["h"], document["background"]) == (61, 45, [0.0, 0.0, 0.0])
    assert [frame["split"] for frame in document["frames"]] == ["train"] * 3 + ["test"] * 2
    for frame in document["frames"]:
        image = np.asarray(Image.open(tmp_path / "c" / frame["file_path"]))
        mask = np.asarray(Image.open(tmp_path / "c" / frame["mask_path"]))
        assert image.shape == mask.shape == (45, 61, 3) and set(np.unique(mask)) == {0, 255}
        # OpenGL: the camera looks along -z, and the sphere's centre is in the middle.
        pose = np.array(frame["transform_matrix"])
        centre = np.linalg.inv(pose) @ [0, 0, 0, 1]
        assert centre[2] < -2.9 and np.abs(centre[:2]).max() < 1e-9
        assert np.linalg.det(pose[:3, :3]) == pytest.approx(1)
        assert pose[2, 1] > 0  # the image's up is the world's up
        # Where the mask's outline is tells the focal length, and with it the distance.
        radius = document["fl_x"] * math.tan(math.asin(-1 / centre[2]))
        assert (mask[..., 0] > 0).sum() == pytest.approx(math.pi * radius**2, rel=0.04)
    mesh = load_mesh(tmp_path / "c" / "mesh.obj")
    proxy = build_proxy(build_scene(config), config)
    assert torch.allclose(mesh.vertices[mesh.faces], proxy.vertices[proxy.faces], atol=1e-6)
    assert torch.allclose(mesh.uvs[mesh.uv_faces], proxy.uvs[proxy.uv_faces], atol=1e-6)
    assert (tmp_path / "c" / "albedo.png").is_file()


def test_existing_folders_are_reused_or_refused(tmp_path):
    write_capture(tmp_path / "c", SMALL)
    before = (tmp_path / "c" / "truth.json").stat().st_mtime_ns
    write_capture(tmp_path / "c", SMALL)
    assert (tmp_path / "c" / "truth.json").stat().st_mtime_ns == before
    with pytest.raises(InputError, match="another"):
        write_capture(tmp_path / "c", dataclasses.replace(SMALL, seed=1))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(InputError):
        write_capture(tmp_path / "mine", SMALL)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c", "mine"]


def test_recorded_gains_explain_the_images(tmp_path):
    drifting = dataclasses.replace(SMALL, exposure_drift=0.2)
    write_capture(tmp_path / "c", drifting)
    document = json.loads((tmp_path / "c" / "transforms.json").read_text())
    gains = np.array([frame["true_gain"] for frame in document["frames"]])
    assert np.ptp(gains[:, 0]) > 0.05 and np.ptp(gains[:, 0] / gains[:, 1]) > 0.01
    scene, cameras = build_scene(SMALL), build_views(SMALL)[0]
    for index in range(3):
        plain = render_view(scene, cameras[index]).image
        stored = np.asarray(Image.open(tmp_path / f"c/images/{index:04d}.png")) / 255
        dark = plain < 0.99
        difference = np.abs(np.clip(plain * gains[index], 0, 1) - stored)[dark]
        assert difference.max() < 0.51 / 255
    assert (exposure_gains(SMALL, 4) == 1).all()


@pytest.mark.parametrize("change", [{"decimate": 0.0}, {"displace": -1.0}, {"num_train": 0}])
def test_impossible_configs_are_refused(change):
    with pytest.raises(ValueError, match=f"{next(iter(change))} must be"):
        SceneConfig(**change)
