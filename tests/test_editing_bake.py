"""Baking paint for renderers that look at images: with photos, within bounds, or refused."""

import json
from pathlib import Path

import pytest
import torch

from dnr.asset import Asset, AssetConfig
from dnr.capture.folder import load_capture, load_capture_mesh
from dnr.editing.runs import edit_run
from dnr.errors import InputError
from dnr.renderers.image import ImageConfig
from dnr.textures.pyramid import TextureConfig

DAB = {"op": "paint", "view": "images/0000.png", "shape": "circle", "centre": [32, 24], "radius": 9}
RECIPE = {"version": 1, "operations": [DAB | {"colour": "#d02010", "lighting": "flat"}]}


@pytest.fixture
def run(small_capture: Path, tmp_path: Path) -> Path:
    """A run with an untrained image renderer, whose capture has gone elsewhere."""
    capture = load_capture(small_capture)
    mesh = load_capture_mesh(capture)[0]
    texture = TextureConfig(size=64, levels=3, colour_size=64)
    torch.manual_seed(0)
    asset = Asset(AssetConfig(texture, ImageConfig("residual")), mesh, torch.zeros(3, 1, 1))
    with torch.no_grad():
        asset.texture.features.texels.uniform_(0, 0.3)
    asset.diffuse.fill_(90)
    rows = [
        {
            "name": view.name,
            "split": view.split,
            "size": list(view.camera.size),
            "world_to_camera": view.camera.world_to_camera[0].tolist(),
            "intrinsics": view.camera.intrinsics[0].tolist(),
        }
        for view in capture.views
    ]
    (tmp_path / "run").mkdir()
    training = {"source": str(tmp_path / "gone"), "size": None}
    asset.save(tmp_path / "run", {"cameras": rows, "training": training})
    (tmp_path / "recipe.json").write_text(json.dumps(RECIPE))
    return tmp_path / "run"


def test_photos_that_have_moved_are_a_sentence(run: Path) -> None:
    recipe, out = run.parent / "recipe.json", run.parent / "out"
    with pytest.raises(InputError, match=r"gone is not there; name the capture by --data"):
        edit_run(run, recipe, out)
    assert not out.exists()
    edit_run(run, recipe, out, bake_steps=0)
    assert Asset.load(out).config == Asset.load(run).config


def test_baking_comes_closer_to_the_paint_and_stays_under_it(
    run: Path, small_capture: Path
) -> None:
    recipe = run.parent / "recipe.json"
    edit_run(run, recipe, run.parent / "plain", bake_steps=0)
    session = edit_run(run, recipe, run.parent / "baked", data=small_capture, bake_steps=20)
    plain, baked = (Asset.load(run.parent / name) for name in ("plain", "baked"))
    camera = session.canvas.cameras["images/0000.png"]
    before, direct, learned = (a.render(camera)[0] for a in (Asset.load(run), plain, baked))
    inside = (slice(None), slice(20, 28), slice(28, 36))
    assert not torch.equal(direct[inside], learned[inside])
    assert (learned[inside][0] - learned[inside][1]).mean() > (
        before[inside][0] - before[inside][1]
    ).mean() + 0.1  # it has become red
    rows = slice(plain.texture.features.starts[2], None)  # the coarsest level
    texels = [asset.texture.features.texels[rows] for asset in (plain, baked)]
    assert torch.equal(*texels)
    networks = [dict(asset.renderer.state_dict()) for asset in (plain, baked)]
    assert all(torch.equal(networks[0][name], networks[1][name]) for name in networks[0])
    assert baked.diffuse.float().std() > 1  # the photographed colour carries the paint too
