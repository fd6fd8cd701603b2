"""Parts of a mesh that stand elsewhere, against the camera moved the other way."""

from pathlib import Path

import numpy as np
import pytest
import torch

from dnr.asset import Asset, AssetConfig
from dnr.capture.folder import load_capture, load_capture_mesh
from dnr.editing.flatten import with_islands
from dnr.editing.instances import standing
from dnr.editing.session import Session
from dnr.errors import InputError
from dnr.geometry.cameras import Camera, intrinsics_from_fov, look_at
from dnr.renderers.image import ImageConfig
from dnr.renderers.pixel import PixelConfig
from dnr.textures.pyramid import TextureConfig

TEXTURE = TextureConfig(size=64, levels=3, colour_size=64)
ALL = {"select": {"by": "all"}}
BALL = {"select": {"by": "part", "number": 0}}


def camera() -> Camera:
    eye = torch.tensor([[3.0, -2.0, 2.5]])
    pose = look_at(eye, torch.tensor([0.0, 0.0, 0.3]), torch.tensor([0.0, 0.0, 1.0]))
    return Camera(pose, intrinsics_from_fov(40, (40, 48), pose), (40, 48))


def random_asset(capture: Path, renderer: PixelConfig | ImageConfig) -> Asset:
    """Every weight random, so that all of them, and all directions, show."""
    generator = torch.Generator().manual_seed(0)
    mesh = load_capture_mesh(load_capture(capture))[0]
    asset = Asset(AssetConfig(TEXTURE, renderer), mesh, torch.zeros(3, 1, 1))
    with torch.no_grad():
        for parameter in asset.parameters():
            parameter.copy_(torch.rand(parameter.shape, generator=generator) * 0.4)
    return asset


@pytest.fixture
def session(small_capture: Path, tmp_path: Path) -> Session:
    asset = random_asset(small_capture, PixelConfig(hidden=16, lamps=4))
    return Session(asset, {"here": camera()}, tmp_path)


def rigid(turn_deg: float, shift: list[float]) -> torch.Tensor:  # [4, 4], about z
    angle = np.deg2rad(turn_deg)
    matrix = torch.eye(4)
    matrix[0, :2] = torch.tensor([np.cos(angle), -np.sin(angle)])
    matrix[1, :2] = torch.tensor([np.sin(angle), np.cos(angle)])
    matrix[:3, 3] = torch.tensor(shift)
    return matrix


def turned_whole(session: Session, name: str) -> None:
    """Take the one part of the sphere and let it stand turned, the body keeping nothing."""
    operation = {"op": "duplicate", "name": name, "turn_deg": 70, "by": [0.2, 0.1, 0.3], **ALL}
    session.apply(operation)
    canvas = session.canvas
    there = canvas.instances[name]
    canvas.place({name: there}, *standing(canvas.original.mesh, {name: there}))


@pytest.mark.parametrize("renderer", [PixelConfig(hidden=16, lamps=4), ImageConfig("residual")])
def test_a_moved_object_shows_what_a_moved_camera_sees(
    small_capture: Path, tmp_path: Path, renderer: PixelConfig | ImageConfig
) -> None:
    """Highlights go along: the reference is the unmoved asset and a camera in its frame."""
    asset = random_asset(small_capture, renderer)
    if isinstance(renderer, ImageConfig):  # positive weights all through would give white only
        with torch.no_grad():
            for parameter in asset.renderer.parameters():
                parameter.sub_(0.2).mul_(0.5)
    session = Session(asset, {"here": camera()}, tmp_path)
    turned_whole(session, "there")
    moved = session.asset.render(camera())
    expected = asset.render(camera().from_object(rigid(70, [0.2, 0.1, 0.3])))
    # Vertices are rounded after the move, so a rim pixel may fall to the other side.
    different = (moved - expected).abs().amax(dim=1) > 1e-3
    assert different.float().mean() < 0.01
    assert (moved - asset.render(camera())).abs().amax(dim=1).gt(0.02).float().mean() > 0.05


def test_edited_geometry_is_saved_and_loaded(session: Session, tmp_path: Path) -> None:
    session.apply({"op": "duplicate", "by": [1.2, 0, 0], "turn_deg": 30, **ALL})
    picture = session.asset.render(camera())
    (tmp_path / "run").mkdir()
    session.asset.save(tmp_path / "run", {})
    assert torch.equal(Asset.load(tmp_path / "run").render(camera()), picture)
    assert len(session.asset.mesh) == 2 * len(session.canvas.original.mesh)


def test_paint_lands_on_a_moved_part_where_the_view_shows_it(session: Session) -> None:
    session.apply({"op": "duplicate", "name": "twin", "scale": 0.4, "by": [0.8, 1.2, 0.3], **ALL})
    session.apply({"op": "move", "copy": "twin", "by": [0.0, 0.0, -0.3]})
    centre = torch.tensor([0.8, 1.2, 0.0])
    front = centre + 0.4 * torch.nn.functional.normalize(camera().position[0] - centre, dim=0)
    place = camera().project(front[None])[0, 0, :2].tolist()
    before = session.asset.render(camera())
    dab = {"op": "paint", "view": "here", "shape": "circle", "radius": 2, "lighting": "flat"}
    session.apply(dab | {"on": "twin", "centre": place, "colour": "#ffffff"})
    changed = (session.asset.render(camera()) - before).abs().amax(dim=1)[0] > 0.02
    assert changed[int(place[1]), int(place[0])]
    with pytest.raises(InputError, match="no part called 'triplet'"):
        session.apply(dab | {"on": "triplet", "centre": place, "colour": "#ffffff"})


def test_undo_brings_the_mesh_back(session: Session) -> None:
    before = session.asset.render(camera())
    session.apply({"op": "duplicate", "by": [0.0, 0.0, 1.0], **ALL})
    assert not torch.equal(session.asset.render(camera()), before)
    session.undo()
    assert torch.equal(session.asset.render(camera()), before)
    session.redo()
    assert len(session.asset.mesh) == 2 * len(session.canvas.original.mesh)


def test_impossible_moves_are_refused(session: Session) -> None:
    for operation, words in [
        ({"op": "hide", **ALL}, "nothing would be left"),
        ({"op": "move", "select": {"by": "chart", "number": 0}}, "hangs together"),
        ({"op": "move", "copy": "twin", "by": [0, 0, 1]}, "no copy called 'twin'"),
        ({"op": "duplicate", "axis": [0, 0, 0], **ALL}, "axis must not be zero"),
        ({"op": "duplicate", "name": "body", **ALL}, "already"),
    ]:
        with pytest.raises(InputError, match=f"operation 1 .*{words}"):
            session.apply(operation)
        assert session.asset.mesh is session.canvas.original.mesh or len(session.asset.mesh) == len(
            session.canvas.original.mesh
        )


def test_a_bulge_is_flattened_onto_what_it_stood_on(small_capture: Path, tmp_path: Path) -> None:
    """A ball's cap is cut off: what spans the hole is flat, coloured and shaded as its rim."""
    asset = random_asset(small_capture, PixelConfig(hidden=16, lamps=4))
    asset.diffuse.fill_(120)
    session = Session(asset, {"here": camera()}, tmp_path)
    canvas, before = session.canvas, session.asset.render(camera())
    top = float(canvas.atlas.position[:, 2].max())
    level = 0.6 * top
    session.apply({"op": "remove", "select": {"by": "height", "from": level}, "margin": 0})
    mesh = session.asset.mesh
    assert len(mesh) == len(canvas.original.mesh)
    assert mesh.vertices[:, 2].max() < level + 0.15 * top
    patch = canvas.instances["patch 1"].faces[canvas.atlas.face]
    for values in (np.log(canvas.shown), canvas.features(canvas.atlas, np.arange(len(patch)))):
        steps = np.abs(values[:, None] - values[canvas.beside]).mean(axis=(1, 2))
        whole = (canvas.beside >= 0).all(axis=1)
        deep = whole & patch & patch[canvas.beside].all(axis=1)
        deep &= deep[canvas.beside].all(axis=1)
        assert steps[deep].mean() < 0.75 * steps[whole & ~patch].mean()
    session.undo()
    assert torch.equal(session.asset.render(camera()), before)


def test_leftovers_of_a_cut_go_with_it(small_capture: Path) -> None:
    mesh = load_capture_mesh(load_capture(small_capture))[0]
    height = mesh.vertices[mesh.faces][:, :, 2].mean(dim=1).numpy()
    body = np.ones(len(mesh), bool)
    ring = (height > 0.3) & (height < 0.8)
    assert (with_islands(mesh, body, ring) == (height > 0.3)).all()
    small = (height > 0.3) & (height < 0.32)
    assert with_islands(mesh, body, small).sum() < len(mesh) / 2


def test_removing_fills_what_was_hidden(masked_capture: Path, tmp_path: Path) -> None:
    asset = random_asset(masked_capture, PixelConfig(hidden=16, lamps=4))
    with torch.no_grad():
        asset.diffuse.fill_(120)
    session = Session(asset, {"here": camera()}, tmp_path)
    canvas = session.canvas
    ball = int(canvas.part[np.abs(canvas.atlas.position - [0.28, -0.42, 0.92]).sum(1).argmin()])
    faces = len(session.asset.mesh)
    session.apply({"op": "remove", "select": {"by": "part", "number": ball}, "margin": 0.2})
    assert len(session.asset.mesh) < faces
    changed = (canvas.shown != canvas.first_shown).any(axis=1)
    assert changed.any() and not changed[canvas.part == ball].any()
    away = np.linalg.norm(canvas.atlas.position - [0.28, -0.42, 0.46], axis=1)
    assert away[changed].max() < 0.46 + 0.2 * 1.6
