"""Lamps found from colours, and shadows that go with what cast them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from dnr.asset import Asset, AssetConfig
from dnr.editing.atlas import Atlas, build_atlas
from dnr.editing.light import Light, Points, arriving, shade
from dnr.editing.light_fit import find_light
from dnr.editing.session import Session
from dnr.geometry.meshes import Mesh
from dnr.renderers.pixel import PixelConfig
from dnr.textures.projection import paint_pyramid
from dnr.textures.pyramid import TextureConfig

LAMP = np.array([2.0, -3.0, 6.0])
SIZE = 256
LID_HEIGHT = 0.5


def table_and_lid() -> Mesh:
    """A floor of 2 x 2 and, above its middle, a square of 0.6 x 0.6; both look up."""
    floor = torch.tensor([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]])
    lid = floor * 0.3 + torch.tensor([0, 0, LID_HEIGHT])
    faces = torch.tensor([[0, 1, 2], [0, 2, 3], [4, 5, 6], [4, 6, 7]])
    unit = torch.tensor([[0.0, 0], [1, 0], [1, 1], [0, 1]])
    uvs = torch.cat([0.02 + 0.7 * unit, 0.76 + 0.2 * unit])
    return Mesh(torch.cat([floor, lid]), faces, uvs, faces.clone(), faces.clone())


def everywhere(atlas: Atlas) -> Points:
    return Points(atlas.position, atlas.normal, atlas.normal, atlas.spacing)


def true_light(position: np.ndarray) -> np.ndarray:  # [N], with the lid's shadow in closed form
    way = LAMP - position
    cosine = way[:, 2] / np.linalg.norm(way, axis=1)
    at_lid = position + way * ((LID_HEIGHT - position[:, 2]) / way[:, 2])[:, None]
    shadow = (position[:, 2] < 0.1) & (np.abs(at_lid[:, :2]) < 0.3).all(axis=1)
    return cosine * ~shadow


def near_the_rim(position: np.ndarray) -> np.ndarray:  # bool [N]
    way = LAMP - position
    at_lid = position + way * ((LID_HEIGHT - position[:, 2]) / way[:, 2])[:, None]
    return np.abs(np.abs(at_lid[:, :2]).max(axis=1) - 0.3) < 0.03


def painted(atlas: Atlas) -> np.ndarray:  # [N, 3] patches of three colours
    tiles = np.floor(atlas.position[:, :2] * 4).astype(int).sum(axis=1) % 3
    return np.array([[0.6, 0.4, 0.3], [0.3, 0.5, 0.6], [0.5, 0.5, 0.45]])[tiles]


@pytest.fixture(scope="module")
def atlas() -> Atlas:
    return build_atlas(table_and_lid(), SIZE)


def test_shadows_fall_where_geometry_says(atlas: Atlas) -> None:
    found = arriving(table_and_lid(), everywhere(atlas), LAMP)
    clear = ~near_the_rim(atlas.position)
    np.testing.assert_allclose(found[clear], true_light(atlas.position)[clear], atol=2e-3)


def test_a_lamp_is_found_by_the_shadow_that_it_casts(atlas: Atlas) -> None:
    light = 0.25 + true_light(atlas.position)[:, None] * [1.0, 0.9, 0.8]
    light_found, _ = find_light(
        table_and_lid(), atlas, painted(atlas) * light * 0.6, [atlas.normal]
    )
    found = shade(light_found, table_and_lid(), everywhere(atlas))
    clear = atlas.inside & ~near_the_rim(atlas.position)
    ratio = (found / light)[clear]
    away = np.abs(np.log(ratio / np.median(ratio, axis=0)))
    assert np.median(away) < 0.02 and np.quantile(away, 0.95) < 0.12
    strongest = light_found.lamps[light_found.power[:-1].mean(axis=1).argmax()]
    cosine = strongest @ LAMP / np.linalg.norm(strongest) / np.linalg.norm(LAMP)
    assert np.rad2deg(np.arccos(cosine)) < 5


def lit_session(atlas: Atlas, folder: Path) -> tuple[Session, np.ndarray]:
    """An asset whose texture shows the floor with the lid's shadow, and its paint without light."""
    config = AssetConfig(TextureConfig(size=64, levels=3, colour_size=SIZE), PixelConfig(hidden=8))
    asset = Asset(config, table_and_lid(), torch.zeros(3, 1, 1))
    light = 0.2 + true_light(atlas.position)
    colour = painted(atlas) * light[:, None] * 0.6
    image = torch.from_numpy(np.concatenate([colour, np.ones((len(colour), 1))], 1)).float()
    paint_pyramid(asset.texture.colour_levels(), torch.from_numpy(atlas.image(image.numpy())))
    asset.diffuse = torch.nn.Buffer((torch.from_numpy(atlas.image(colour)) * 255).to(torch.uint8))
    return Session(asset, {}, folder), colour


def test_what_is_removed_takes_its_shadow_along(atlas: Atlas, tmp_path: Path) -> None:
    session, colour = lit_session(atlas, tmp_path)
    canvas = session.canvas
    before = {name: value.clone() for name, value in session.asset.state_dict().items()}
    session.apply({"op": "remove", "select": {"by": "height", "from": 0.2}, "margin": 0.01})
    floor = atlas.inside & (atlas.position[:, 2] < 0.1)
    shadow = floor & (true_light(atlas.position) == 0) & ~near_the_rim(atlas.position)
    wanted = (
        painted(atlas)
        * 0.6
        * (0.2 + LAMP[2] / np.linalg.norm(LAMP - atlas.position, axis=1))[:, None]
    )
    away = np.abs(np.log(canvas.shown[shadow] / wanted[shadow]))
    untouched = np.abs(np.log(colour[shadow] / wanted[shadow]))
    assert np.median(untouched) > 1 and np.median(away) < 0.1
    lit = floor & (np.abs(atlas.position[:, :2]).max(axis=1) > 0.9)
    np.testing.assert_allclose(canvas.shown[lit], canvas.first_shown[lit], atol=0.02)
    session.undo()
    assert all(torch.equal(before[n], v) for n, v in session.asset.state_dict().items())


def test_light_from_everywhere_casts_no_shadow(atlas: Atlas) -> None:
    nowhere = Light(np.zeros((0, 3)), np.full((1, 3), 0.7, np.float32))
    assert (shade(nowhere, table_and_lid(), everywhere(atlas)) == np.float32(0.7)).all()
