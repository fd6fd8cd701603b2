"""Step 0 is a well-made textured mesh before what the photos show behind it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dnr.asset import Asset, AssetConfig
from dnr.capture.folder import load_capture, load_capture_mesh
from dnr.capture.photos import Photos, prepare_photos
from dnr.files import read_json
from dnr.geometry.meshes import Mesh
from dnr.raster.rasterize import rasterize
from dnr.raster.surface import interpolate
from dnr.renderers.image import ImageConfig
from dnr.renderers.pixel import PixelConfig
from dnr.textures.backdrop import Backdrop
from dnr.textures.pyramid import TextureConfig
from dnr.training.crops import read_crop
from dnr.training.pixels import clean_pixels
from dnr.training.views import CLEAN, SEEN, Views, lay_out_views
from dnr.training.warm_start import (
    coverage,
    find_backdrop,
    fitting_texture,
    has_masks,
    project_photos,
    start_from_noise,
    start_neural_channels,
    with_fine_features,
)

TEXTURE = TextureConfig(size=64, levels=3, colour_size=64)


def bilinear(uv: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:  # [N, 2] -> [N, 4] twice
    """Texels around each uv and their weights, row 0 on top, written from the definition."""
    column = np.clip(uv[:, 0].astype(float) * size - 0.5, 0, size - 1)
    row = np.clip((1 - uv[:, 1].astype(float)) * size - 0.5, 0, size - 1)
    left, top = np.floor(column).astype(int), np.floor(row).astype(int)
    right, below = np.minimum(left + 1, size - 1), np.minimum(top + 1, size - 1)
    x, y = column - left, row - top
    texels = [top * size + left, top * size + right, below * size + left, below * size + right]
    weights = [(1 - y) * (1 - x), (1 - y) * x, y * (1 - x), y * x]
    return np.stack(texels, axis=1), np.stack(weights, axis=1)


def averaged_texture(views: Views, size: int) -> np.ndarray:  # [S * S, 4]
    """The mean of all photos, texel by texel, and its weight."""
    sums = np.zeros((size * size, 4))
    for view in range(len(views)):
        batch = clean_pixels(views, view)
        texels, weights = bilinear(batch.surface.uv.numpy(), size)
        colours = np.concatenate([batch.colour.numpy(), np.ones((len(texels), 1))], axis=1)
        for corner in range(4):
            np.add.at(sums, texels[:, corner], weights[:, corner, None] * colours)
    sums[:, :3] /= np.maximum(sums[:, 3:], 1e-9)
    return sums


def decibels(first: np.ndarray, second: np.ndarray) -> float:
    return float(-10 * np.log10(np.mean((first - second) ** 2)))


@pytest.mark.parametrize("renderer", [PixelConfig(), ImageConfig("residual")])
def test_step_0_is_the_averaged_texture(
    renderer: PixelConfig | ImageConfig,
    small_mesh: Mesh,
    small_photos: Photos,
    small_views: Views,
    generator: torch.Generator,
) -> None:
    config = fitting_texture(TEXTURE, small_views)
    asset = Asset(AssetConfig(config, renderer), small_mesh, find_backdrop(small_views))
    start_neural_channels(asset, generator)
    project_photos(asset, small_views)
    texture = averaged_texture(small_views, config.colour_size)
    ours, plain = [], []
    held_out = small_photos.of("test")
    for index, camera in enumerate(held_out.cameras):
        fragments = rasterize(small_mesh.vertices, small_mesh.faces, camera)
        uv = interpolate(fragments, small_mesh, camera).uv[0].reshape(-1, 2).numpy()
        seen = (fragments.face_id[0] >= 0).numpy().reshape(-1)
        texels, weights = bilinear(uv, config.colour_size)
        values = texture[texels]
        weights = weights * (values[..., 3] > 1e-6)
        seen &= weights.sum(axis=1) > 0.5  # elsewhere the plain texture knows nothing
        image = (weights[..., None] * values[..., :3]).sum(axis=1)[seen]
        image /= weights.sum(axis=1)[seen, None]
        photo = held_out[index].rgb.reshape(-1, 3)[seen] / 255
        render = asset.render(camera)[0].permute(1, 2, 0).reshape(-1, 3).numpy()[seen]
        ours.append(decibels(render, photo))
        plain.append(decibels(image, photo))
    print(f"step 0 {np.mean(ours):.2f} dB, averaged texture {np.mean(plain):.2f} dB")
    assert np.mean(plain) > 15
    assert np.mean(ours) > np.mean(plain) - 0.3


def test_diffuse_colours_are_the_photos_without_highlights(
    small_mesh: Mesh, small_views: Views
) -> None:
    asset = Asset(AssetConfig(TEXTURE, PixelConfig()), small_mesh, torch.zeros(3, 1, 1))
    project_photos(asset, small_views)
    mean = averaged_texture(small_views, 64)
    known = mean[:, 3] > 0.5
    diffuse = asset.diffuse.reshape(-1, 3).numpy()[known] / 255
    assert (diffuse.mean(axis=1) <= mean[known, :3].mean(axis=1) + 0.02).mean() > 0.99
    assert 0.7 * mean[known, :3].mean() < diffuse.mean() < 0.995 * mean[known, :3].mean()


def test_texels_are_as_fine_as_the_photos(small_views: Views) -> None:
    clean = small_views.colours[:, 3] & CLEAN != 0
    per_uv = np.quantile(small_views.geometry[clean, 4] / 8, 0.75)
    size = fitting_texture(replace(TEXTURE, size=16, colour_size=16), small_views).colour_size
    assert per_uv / 2**0.5 <= size <= per_uv * 2**0.5
    closer = replace(small_views, geometry=np.minimum(small_views.geometry.astype(int) * 64, 65535))
    assert fitting_texture(TEXTURE, closer).colour_size == 2048
    nothing = replace(small_views, colours=np.zeros_like(small_views.colours))
    assert fitting_texture(TEXTURE, nothing) == TEXTURE


def test_a_plain_background_is_found_exactly(small_capture: Path, small_views: Views) -> None:
    truth = np.rint(np.array(read_json(small_capture / "transforms.json")["background"]) * 255)
    for background in ("auto", "solid"):
        found = find_backdrop(small_views, background)
        assert found.shape == (3, 1, 1)
        np.testing.assert_allclose(found.flatten() * 255, truth, atol=1e-4)


def under_sky(views: Views) -> Views:
    """The same views before a sky whose colour is a smooth function of the direction."""
    colours = np.array(views.colours)
    for view in range(len(views)):
        pixels = slice(views.starts[view], views.starts[view + 1])
        rays = read_crop(views, view, (0, 0), views.size(view)).rays[0].reshape(-1, 3).numpy()
        sky = np.rint(sky_colour(rays) * 255)
        beside = colours[pixels, 3] & SEEN == 0
        colours[pixels, :3] = np.where(beside[:, None], sky, colours[pixels, :3])
    return replace(views, colours=colours)


def sky_colour(rays: np.ndarray) -> np.ndarray:  # [N, 3] unit
    turn = np.array([[0.6, 0.2, 0.3], [-0.3, 0.5, 0.1], [0.1, -0.2, 0.7]])
    return 0.5 + 0.4 * np.sin(rays @ turn * 2)


def test_a_sky_is_captured(small_views: Views, small_photos: Photos) -> None:
    views = under_sky(small_views)
    found = find_backdrop(views)
    assert found.shape == (3, 128, 256)
    assert torch.equal(found, find_backdrop(views, "captured"))
    assert find_backdrop(views, "solid").shape == (3, 1, 1)
    crop = read_crop(views, 1, (0, 0), (48, 64))
    shown = Backdrop(found)(crop.rays)[0].permute(1, 2, 0).numpy()
    beside = ~crop.seen[0].numpy()
    assert decibels(shown[beside], crop.colour[0].permute(1, 2, 0).numpy()[beside]) > 35
    # A photo that was not used sees directions between those that were.
    rays = small_photos.of("test").cameras[0].rays()
    shown = Backdrop(found)(rays)[0].permute(1, 2, 0).reshape(-1, 3).numpy()
    assert decibels(shown, sky_colour(rays.reshape(-1, 3).numpy())) > 25


def test_behind_masks_there_is_one_colour_without_the_object(
    masked_capture: Path, tmp_path: Path
) -> None:
    capture = load_capture(masked_capture)
    mesh, _ = load_capture_mesh(capture)
    photos = prepare_photos(capture, tmp_path / "photos").of("train")
    views = lay_out_views(photos, mesh, tmp_path / "views")
    assert has_masks(views)
    colours = np.array(views.colours)
    beside = colours[:, 3] & SEEN == 0
    masked, sticking_out = beside & (colours[:, 4] == 0), beside & (colours[:, 4] == 255)
    assert masked.any()
    colours[masked, :3] = np.random.default_rng(0).integers(90, 111, (masked.sum(), 3))
    colours[sticking_out, :3] = 255
    found = find_backdrop(replace(views, colours=colours))
    assert found.shape == (3, 1, 1)
    assert float((found * 255 - 100).abs().max()) <= 1
    assert find_backdrop(replace(views, colours=colours), "captured").max() < 112 / 255


def test_photos_full_of_the_mesh_have_a_black_backdrop(small_views: Views) -> None:
    colours = np.array(small_views.colours)
    colours[:, 3] |= SEEN
    assert not find_backdrop(replace(small_views, colours=colours)).any()


def test_noise_has_the_strength_asked_for(small_asset: Asset, generator: torch.Generator) -> None:
    colours = small_asset.texture.features.texels[:, :3].clone()
    start_neural_channels(small_asset, generator)
    texels = small_asset.texture.features.texels
    assert torch.equal(texels[:, :3], colours)
    assert float(texels[:, 3:].detach().std()) == pytest.approx(0.01, rel=0.05)
    start_from_noise(small_asset, 1.0, generator)
    assert float(texels.detach().std()) == pytest.approx(1, rel=0.05)


def test_coverage_is_bright_where_photos_look(small_views: Views) -> None:
    picture = coverage(small_views, 64)
    assert picture.shape == (64, 64) and picture.dtype == np.uint8
    weight = averaged_texture(small_views, 64)[:, 3].reshape(64, 64)
    assert not picture[weight == 0].any()
    assert picture[weight > np.quantile(weight[weight > 0], 0.9)].mean() > 100


def test_fine_features_are_half_as_fine_as_colour() -> None:
    texture = TextureConfig(size=256, levels=4, colour_size=2048)
    fine = with_fine_features(texture)
    assert fine.feature_sizes == (1024, 512, 256, 128, 64, 32) and fine.colour_sizes == (2048,)
    for colour_size in (256, 512):
        coarse = replace(texture, colour_size=colour_size)
        assert with_fine_features(coarse) == coarse
