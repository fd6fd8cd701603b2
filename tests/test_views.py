"""What training reads of the photos: packed exactly enough, drawn exactly as asked."""

import errno
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_dilation

from dnr.capture.folder import load_capture, load_capture_mesh
from dnr.capture.photos import Photos, prepare_photos
from dnr.errors import InputError
from dnr.geometry.meshes import Mesh
from dnr.raster.rasterize import rasterize
from dnr.raster.surface import Surface, interpolate
from dnr.training.crops import draw_crop, read_crop
from dnr.training.pixels import clean_pixels, draw_pixels
from dnr.training.views import (
    CLEAN,
    DENSITY_STEPS,
    SEEN,
    TILE,
    VALID,
    Views,
    lay_out_views,
    octahedral,
)

VIEW = 2


@pytest.fixture
def truth(small_photos: Photos, small_mesh: Mesh) -> Surface:
    """What one training view sees, straight from the rasteriser."""
    camera = small_photos.of("train").cameras[VIEW]
    return interpolate(rasterize(small_mesh.vertices, small_mesh.faces, camera), small_mesh, camera)


def angle_deg(first: torch.Tensor, second: torch.Tensor) -> float:
    """The largest angle between unit vectors; arcsines keep small ones exact."""
    half = (first.double() - second.double()).norm(dim=-1) / 2
    return float(torch.rad2deg(2 * torch.asin(half.clamp(max=1))).max())


def test_whole_views_come_back(small_views: Views, small_photos: Photos, truth: Surface) -> None:
    size = small_views.size(VIEW)
    assert size == (48, 64)
    crop = read_crop(small_views, VIEW, (0, 0), size)
    seen = truth.view.norm(dim=-1) > 0
    assert torch.equal(crop.seen, seen)
    assert 0.05 < float(seen.float().mean()) < 0.9
    assert float((crop.surface.uv - truth.uv).abs().max()) <= 0.51 / 65535
    assert angle_deg(crop.surface.normal[seen], truth.normal[seen]) < 0.01
    assert angle_deg(crop.surface.view[seen], truth.view[seen]) < 1e-3
    density = (1 / crop.surface.footprint[seen], 1 / truth.footprint[seen])
    assert float((density[0] - density[1]).abs().max()) <= 0.51 / DENSITY_STEPS
    assert not any(field[~seen].any() for field in crop.surface if field.numel())
    rays = small_photos.of("train").cameras[VIEW].rays()
    assert angle_deg(crop.rays, rays) < 1e-3
    photo = small_photos.of("train")[VIEW]
    assert torch.equal((crop.colour[0] * 255).round().byte(), torch.tensor(photo.rgb).movedim(2, 0))
    assert crop.alpha.shape == (1, 1, *size) and bool((crop.alpha == 1).all())


def test_octahedral_directions_cover_the_sphere(rng: np.random.Generator) -> None:
    directions = rng.normal(size=(5000, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    directions[:6] = np.concatenate([np.eye(3), -np.eye(3)])
    flat = octahedral(directions)
    assert np.abs(flat).max() <= 1
    z = 1 - np.abs(flat).sum(axis=1)  # unfolded as in the paper, in float64
    fold = np.maximum(-z, 0)[:, None]
    back = np.concatenate([flat - np.copysign(fold, flat), z[:, None]], axis=1)
    back /= np.linalg.norm(back, axis=1, keepdims=True)
    np.testing.assert_allclose(back, directions, atol=1e-12)
    assert not octahedral(np.zeros((1, 3))).any()


def test_crops_are_windows_of_the_whole(small_views: Views) -> None:
    whole = read_crop(small_views, VIEW, (0, 0), (48, 64))
    part = read_crop(small_views, VIEW, (7, 11), (20, 30))
    window = (slice(None), slice(7, 27), slice(11, 41))
    assert part.view == whole.view == VIEW
    for name in ("uv", "normal", "footprint"):
        assert torch.equal(getattr(part.surface, name), getattr(whole.surface, name)[window])
    assert angle_deg(part.rays, whole.rays[window]) < 1e-4
    for name in ("seen", "valid"):
        assert torch.equal(getattr(part, name), getattr(whole, name)[window])
    assert torch.equal(part.colour, whole.colour[:, :, 7:27, 11:41])


def test_drawn_crops_lie_inside_and_repeat(small_views: Views) -> None:
    for side in (16, 48, 500):
        first = draw_crop(small_views, side, np.random.default_rng(1))
        again = draw_crop(small_views, side, np.random.default_rng(1))
        assert first.seen.shape == (1, min(side, 48), min(side, 64))
        assert first.view == again.view and torch.equal(first.colour, again.colour)
        assert bool(first.seen.any())


def test_clean_pixels_show_one_surface(small_views: Views, truth: Surface) -> None:
    pixels = slice(small_views.starts[VIEW], small_views.starts[VIEW + 1])
    state = small_views.colours[pixels, 3].reshape(48, 64)
    seen = (truth.view.norm(dim=-1) > 0)[0].numpy()
    rim = seen & binary_dilation(~seen)
    clean = (state & CLEAN) != 0
    assert np.array_equal((state & SEEN) != 0, seen)
    assert not (clean & rim).any()
    assert (clean & ~rim).sum() > 0.8 * (seen & ~rim).sum()
    assert ((state & VALID) != 0).all()


def test_masked_pixels_are_not_clean(masked_capture: Path, tmp_path: Path) -> None:
    capture = load_capture(masked_capture)
    mesh, _ = load_capture_mesh(capture)
    photos = prepare_photos(capture, tmp_path / "photos").of("train")
    pixels = np.load(photos.paths[0])
    pixels[:24, :, 3] = 0  # masked out although the mesh is there
    pixels[24:26, :, 3] = 128  # neither inside nor outside
    pixels[:, :32, 4] = 0  # the lens has seen nothing here
    np.save(photos.paths[0], pixels)
    views = lay_out_views(photos, mesh, tmp_path / "views")
    state = views.colours[: 48 * 64, 3].reshape(48, 64)
    clean = (state & CLEAN) != 0
    assert clean.any() and ((state & SEEN) != 0)[:24].any()
    assert not clean[:26].any() and not clean[:, :32].any()
    assert np.array_equal((state & VALID) != 0, pixels[..., 4] == 255)
    crop = read_crop(views, 0, (20, 30), (10, 10))
    assert torch.equal(crop.alpha[0, 0], torch.from_numpy(pixels[20:30, 30:40, 3] / 255).float())
    tiles = views.tiles[views.tiles[:, 0] == 0]
    for _, row, column in tiles:
        assert clean[row : row + TILE, column : column + TILE].any()


@pytest.mark.parametrize("count", [1, 63, 1000, 50_000])
def test_batches_have_exactly_the_size_asked_for(small_views: Views, count: int) -> None:
    batch = draw_pixels(small_views, count, np.random.default_rng(3))
    again = draw_pixels(small_views, count, np.random.default_rng(3))
    other = draw_pixels(small_views, count, np.random.default_rng(4))
    assert len(batch.colour) == len(batch.view) == len(batch.surface.uv) == count
    assert torch.equal(batch.colour, again.colour) and torch.equal(batch.view, again.view)
    assert torch.equal(batch.surface.view, again.surface.view)
    assert not torch.equal(batch.surface.uv, other.surface.uv)


def test_batches_hold_what_the_views_hold(small_views: Views, truth: Surface) -> None:
    batch = draw_pixels(small_views, 50_000, np.random.default_rng(0))
    assert set(batch.view.tolist()) == set(range(6))
    every = clean_pixels(small_views, VIEW)
    state = small_views.colours[small_views.starts[VIEW] : small_views.starts[VIEW + 1], 3]
    assert len(every.colour) == ((state & CLEAN) != 0).sum()
    drawn = torch.cat([batch.surface.uv, batch.colour], dim=1)[batch.view == VIEW]
    known = {tuple(row) for row in torch.cat([every.surface.uv, every.colour], dim=1).tolist()}
    assert {tuple(row) for row in drawn.tolist()} == known  # all of them, and nothing else
    clean = torch.from_numpy((state & CLEAN) != 0).reshape(1, 48, 64)
    expected = truth.uv[clean]
    assert len(expected) == len(every.surface.uv)
    order, own = (np.lexsort(np.rint(x.numpy() * 65535).T) for x in (expected, every.surface.uv))
    assert float((expected[order] - every.surface.uv[own]).abs().max()) <= 0.51 / 65535
    assert angle_deg(truth.view[clean][order], every.surface.view[own]) < 1e-3


def test_views_of_different_sizes_stand_side_by_side(
    small_capture: Path, small_mesh: Mesh, tmp_path: Path
) -> None:
    photos = prepare_photos(load_capture(small_capture), tmp_path / "a").chosen([0, 1])
    smaller = prepare_photos(load_capture(small_capture), tmp_path / "b", 30).chosen([2])
    mixed = Photos(*(getattr(photos, n) + getattr(smaller, n) for n in vars(photos)))
    views = lay_out_views(mixed, small_mesh, tmp_path / "views")
    assert [views.size(index) for index in range(3)] == [(48, 64), (48, 64), (30, 40)]
    alone = lay_out_views(smaller, small_mesh, tmp_path / "alone")
    ours, theirs = read_crop(views, 2, (0, 0), (30, 40)), read_crop(alone, 0, (0, 0), (30, 40))
    assert torch.equal(ours.colour, theirs.colour)
    assert torch.equal(ours.surface.uv, theirs.surface.uv)


def test_a_disk_that_fills_up_is_one_sentence(
    small_photos: Photos, small_mesh: Mesh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    with pytest.raises(InputError, match=r"geometry.npy cannot be written: the disk is full"):
        lay_out_views(small_photos, small_mesh, tmp_path)


def test_no_photo_that_shows_the_mesh_leaves_no_tiles(
    small_photos: Photos, small_mesh: Mesh, tmp_path: Path
) -> None:
    far = replace(small_mesh, vertices=small_mesh.vertices + 1000)
    assert len(lay_out_views(small_photos, far, tmp_path).tiles) == 0


def test_memory_is_given_back_and_nothing_is_lost(small_views: Views) -> None:
    before = [array.copy() for array in (small_views.geometry, small_views.colours)]
    assert small_views.geometry.any()
    small_views.give_back()
    for array, kept in zip((small_views.geometry, small_views.colours), before, strict=True):
        assert np.array_equal(array, kept)
