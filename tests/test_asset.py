"""Assets: what is saved comes back, what is hostile does not get in."""

import json
import pickle
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from dnr.asset import Asset, AssetConfig
from dnr.capture.photos import Photos
from dnr.errors import InputError
from dnr.geometry.cameras import Camera, join_cameras
from dnr.geometry.meshes import Mesh
from dnr.renderers.image import ImageConfig
from dnr.renderers.pixel import PixelConfig
from dnr.tensor_files import load_tensors, save_tensors
from dnr.textures.pyramid import TextureConfig


@pytest.fixture
def camera(small_photos: Photos) -> Camera:
    """Two views at once."""
    return join_cameras(small_photos.cameras[:2])


@pytest.fixture
def run(small_asset: Asset, tmp_path: Path) -> Path:
    small_asset.save(tmp_path / "run", {"note": "kept"})
    return tmp_path / "run"


def test_two_lines_render_what_was_saved(run: Path, small_asset: Asset, camera: Camera) -> None:
    image = Asset.load(run).render(camera)
    assert image.shape == (2, 3, *camera.size)
    assert torch.equal(image, small_asset.render(camera))
    assert float(image[1].std()) > 0.01
    own, loaded = small_asset.state_dict(), Asset.load(run).state_dict()
    assert all(torch.equal(own[name], loaded[name]) for name in own)
    assert json.loads((run / "asset.json").read_text())["note"] == "kept"


@pytest.mark.parametrize("network", ["paper", "residual"])
def test_image_renderers_come_back_too(
    network: Any, small_mesh: Mesh, camera: Camera, tmp_path: Path, small_paper: None
) -> None:
    texture = TextureConfig(size=64, levels=3, colour_size=128)
    asset = Asset(AssetConfig(texture, ImageConfig(network)), small_mesh, torch.rand(3, 1, 1))
    torch.nn.init.uniform_(asset.texture.features.texels)
    torch.nn.init.uniform_(asset.texture.detail.texels)
    asset.save(tmp_path, {})
    assert torch.equal(Asset.load(tmp_path).render(camera), asset.render(camera))


def test_an_object_that_moves_with_its_camera_looks_the_same(
    small_asset: Asset, camera: Camera
) -> None:
    angle = torch.tensor(0.7)
    object_to_world = torch.eye(4)
    object_to_world[0, 0] = object_to_world[1, 1] = angle.cos()
    object_to_world[1, 0], object_to_world[0, 1] = angle.sin(), -angle.sin()
    object_to_world[:3, 3] = torch.tensor([3.0, -2.0, 5.0])
    carried = Camera(
        camera.world_to_camera @ torch.linalg.inv(object_to_world), camera.intrinsics, camera.size
    )
    before, after = (
        small_asset.render(camera),
        small_asset.render(carried.from_object(object_to_world)),
    )
    moved = (before - after).abs().amax(dim=1)
    assert float((moved > 2e-3).float().mean()) < 0.002  # rounding may flip a pixel at a rim
    assert float((small_asset.render(carried) - before).abs().mean()) > 0.01  # the move is real


def test_views_that_miss_the_mesh_show_the_backdrop(small_asset: Asset, camera: Camera) -> None:
    away = torch.eye(4).repeat(2, 1, 1)
    away[:, 2, 3] = -100.0
    nowhere = Camera(away, camera.intrinsics, camera.size)
    expected = small_asset.backdrop(nowhere.rays())
    assert torch.allclose(small_asset.render(nowhere), expected)


def test_too_few_channels_are_refused() -> None:
    """Otherwise compiled code would read beyond the end of an array."""
    with pytest.raises(ValueError, match="channels must be at least 6, got 4"):
        AssetConfig(TextureConfig(channels=4), PixelConfig())
    with pytest.raises(ValueError, match="channels must be at least 12, got 8"):
        AssetConfig(TextureConfig(channels=8), ImageConfig("paper"))
    AssetConfig(TextureConfig(channels=3), ImageConfig("residual"))


def edited(run: Path, *keys: str, value: Any) -> None:
    path = run / "asset.json"
    document = json.loads(path.read_text())
    place = document
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    path.write_text(json.dumps(document))


BAD_DESCRIPTIONS = {
    "newer version": (("format_version",), 2, "newer version of this program"),
    "no version": (("format_version",), "1", "no valid format_version"),
    "config": (("config",), [], "not a valid asset"),
    "huge texture": (("config", "texture", "colour_size"), 1 << 40, "whole number from 0 to"),
    "huge levels": (("config", "texture", "levels"), 10**15, "whole number from 0 to"),
    "huge layer": (("config", "renderer", "hidden"), 10**9, "whole number from 0 to"),
    "endless": (("config", "texture", "size"), 1e999, "whole number from 0 to"),
    "fraction": (("config", "texture", "size"), 64.0, "whole number from 0 to"),
    "truth": (("config", "texture", "size"), True, "whole number from 0 to"),
    "negative": (("config", "texture", "channels"), -4, "whole number from 0 to"),
    "odd size": (("config", "texture", "size"), 63, "multiple of 4"),
    "few channels": (("config", "texture", "channels"), 4, "at least 6"),
    "no backdrop": (("config", "backdrop"), [0, 4], "whole number from 1 to"),
    "backdrop of one side": (("config", "backdrop"), [4], "not a valid asset"),
    "unknown renderer": (("config", "renderer", "kind"), "os.system", "not a valid asset"),
    "unhashable renderer": (("config", "renderer", "kind"), [], "not a valid asset"),
    "unknown direction": (("config", "renderer", "direction"), "up", "one of bent, reflection"),
    "unhashable direction": (("config", "renderer", "direction"), {}, "one of bent, reflection"),
    "unknown key": (("config", "texture", "exec"), 1, "not a valid asset"),
    "other shape": (("config", "texture", "size"), 32, "weights.safetensors does not fit"),
    "far too large": (("config", "texture", "colour_size"), 16384, "does not fit"),
}


@pytest.mark.parametrize("case", BAD_DESCRIPTIONS)
def test_bad_descriptions_are_one_sentence(case: str, run: Path) -> None:
    keys, value, words = BAD_DESCRIPTIONS[case]
    edited(run, *keys, value=value)
    with pytest.raises(InputError, match=words) as caught:
        Asset.load(run)
    assert str(run) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_sizes_cost_nothing_before_the_weights_are_seen(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A texture of 17 GiB in asset.json is refused without ever being made."""
    edited(run, "config", "texture", "size", value=16384)
    edited(run, "config", "texture", "colour_size", value=16384)
    made = []
    zeros = torch.zeros

    def counted(*shape: Any, **more: Any) -> torch.Tensor:
        made.append(zeros(*shape, **more))
        assert made[-1].is_meta or made[-1].numel() < 1 << 20
        return made[-1]

    monkeypatch.setattr(torch, "zeros", counted)
    with pytest.raises(InputError, match="does not fit"):
        Asset.load(run)
    assert any(tensor.numel() > 1 << 30 for tensor in made)


def test_missing_parts_are_named(run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no finished asset \(asset.json is missing\)"):
        Asset.load(tmp_path / "nowhere")
    for name in ("weights.safetensors", "mesh.npz", "asset.json"):
        (run / name).unlink()
        with pytest.raises(InputError, match=re.escape(name)):
            Asset.load(run)


def test_hostile_weights_are_refused(run: Path) -> None:
    path = run / "weights.safetensors"
    tensors = load_tensors(path)
    path.write_bytes(pickle.dumps({"weights": [1]}))
    with pytest.raises(InputError, match=r"torch\.save"):
        Asset.load(run)
    torch.save(tensors, path)
    with pytest.raises(InputError, match=r"torch\.save"):
        Asset.load(run)
    texels = "texture.features.texels"
    save_tensors(path, tensors | {texels: tensors[texels].double()})
    with pytest.raises(InputError, match="texels in another number format"):
        Asset.load(run)
    save_tensors(path, tensors | {texels: torch.full_like(tensors[texels], torch.nan)})
    with pytest.raises(InputError, match="not finite"):
        Asset.load(run)
    save_tensors(path, tensors)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="damaged"):
        Asset.load(run)


def test_a_damaged_mesh_is_named(run: Path) -> None:
    (run / "mesh.npz").write_bytes(b"PK no zip")
    with pytest.raises(InputError, match=r"mesh.npz is damaged"):
        Asset.load(run)


def test_a_copied_run_is_enough(run: Path, tmp_path: Path, camera: Camera) -> None:
    before = Asset.load(run).render(camera)
    shutil.move(run, tmp_path / "elsewhere")
    assert torch.equal(Asset.load(str(tmp_path / "elsewhere")).render(camera), before)
