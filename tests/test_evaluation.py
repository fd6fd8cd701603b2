"""Scores: what counts, what does not, and what they are called."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from dnr.asset import Asset
from dnr.capture.photos import Photos
from dnr.errors import InputError
from dnr.images import images_from_tensor
from dnr.training.evaluation import (
    Scored,
    definition,
    evaluate_asset,
    photo_over_backdrop,
    score,
    summary,
)


@pytest.fixture
def staged(small_asset: Asset, small_photos: Photos, tmp_path: Path) -> Photos:
    """Two photos that hold exactly what the asset renders."""
    for index, path in enumerate(small_photos.paths[:2]):
        pixels = np.load(path)
        pixels[..., :3] = images_from_tensor(small_asset.render(small_photos.cameras[index]))[0]
        np.save(tmp_path / path.name, pixels)
    chosen = small_photos.chosen([0, 1])
    return replace(chosen, paths=[tmp_path / path.name for path in chosen.paths])


def repaint(photos: Photos, index: int, rows: slice, colour: int, **planes: int) -> None:
    """Change some rows of one photo, and its planes of alpha or validity there."""
    pixels = np.load(photos.paths[index])
    pixels[rows, :, :3] = colour
    for name, value in planes.items():
        pixels[rows, :, {"alpha": 3, "valid": 4}[name]] = value
    np.save(photos.paths[index], pixels)


def test_a_perfect_render_scores_as_one(small_asset: Asset, staged: Photos) -> None:
    first, second = score(small_asset, staged)
    assert np.array_equal(first.truth, first.render)
    assert first.figures["psnr"] > 55 and second.figures["ssim"] > 0.999
    assert first.name == staged.names[0]


def test_scores_are_those_of_scikit_image(small_asset: Asset, small_photos: Photos) -> None:
    for item in score(small_asset, small_photos.of("test")):
        expected = peak_signal_noise_ratio(item.truth, item.render, data_range=255)
        assert item.figures["psnr"] == pytest.approx(expected, abs=0.05)  # the render is 8-bit here
        similarity = structural_similarity(
            item.truth,
            item.render,
            channel_axis=2,
            data_range=255,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
        assert item.figures["ssim"] == pytest.approx(similarity, abs=0.02)  # theirs pads


def test_pixels_without_data_do_not_count(small_asset: Asset, staged: Photos) -> None:
    before = next(score(small_asset, staged)).figures
    repaint(staged, 0, slice(30, 48), 7)
    spoiled = next(score(small_asset, staged)).figures
    assert spoiled["psnr"] < 30 and spoiled["ssim"] < 0.9
    repaint(staged, 0, slice(30, 48), 7, valid=0)
    assert next(score(small_asset, staged)).figures == pytest.approx(before, abs=1.0)


def test_behind_its_mask_a_photo_shows_the_backdrop(small_asset: Asset, staged: Photos) -> None:
    small_asset.backdrop.image.fill_(0.5)
    repaint(staged, 0, slice(0, 8), 7, alpha=0)
    repaint(staged, 0, slice(8, 9), 255, alpha=51)
    truth, valid = photo_over_backdrop(staged, 0, small_asset)
    assert truth.shape == (1, 3, 48, 64) and valid.shape == (1, 48, 64)
    assert torch.allclose(truth[:, :, :8], torch.tensor(0.5))
    assert torch.allclose(truth[:, :, 8], torch.tensor(0.2 + 0.8 * 0.5))
    assert np.array_equal(images_from_tensor(truth)[0][9:], staged[0].rgb[9:])
    assert bool((valid == 1).all())


def test_a_gain_is_forgiven_on_the_other_half_only(small_asset: Asset, staged: Photos) -> None:
    pixels = np.load(staged.paths[1])
    pixels[..., :3] = np.rint(pixels[..., :3] * np.array([0.5, 0.7, 0.9]))
    np.save(staged.paths[1], pixels)
    ones = torch.ones(2, 3)
    figures = list(score(small_asset, staged, ones))[1].figures
    assert figures["psnr"] < 25 and figures["psnr_neighbours"] == pytest.approx(figures["psnr"])
    assert figures["psnr_half"] > 45
    told = torch.tensor([[1, 1, 1], [0.5, 0.7, 0.9]])
    told = list(score(small_asset, staged, told))[1]
    assert told.figures["psnr_neighbours"] > 45 and told.figures["psnr"] < 25
    assert np.abs(told.render.astype(int) - told.truth).mean() < 1
    pixels[:, 32:, :3] = 255 - pixels[:, 32:, :3]
    np.save(staged.paths[1], pixels)
    assert list(score(small_asset, staged, ones))[1].figures["psnr_half"] < 25


def test_summaries_are_means_over_views() -> None:
    image = np.zeros((2, 3, 3), np.uint8)
    scored = [Scored("a", image, image, {"psnr": 20.0}), Scored("b", image, image, {"psnr": 30.0})]
    assert summary(scored) == {"psnr": 25.0, "num_views": 2}
    assert summary([]) == {"num_views": 0}


def test_every_number_is_defined(small_asset: Asset, small_photos: Photos) -> None:
    numbers = summary(list(score(small_asset, small_photos.of("test"))))
    assert set(numbers) - {"lpips"} == {"psnr", "ssim", "num_views"}
    exposed = summary(list(score(small_asset, small_photos.of("test"), torch.ones(9, 3))))
    assert set(exposed) - set(numbers) == {"psnr_half", "psnr_neighbours"}
    meanings = definition([*exposed, "pixels"])
    assert set(meanings) == {*exposed, "pixels"}
    assert "mask" in meanings["pixels"]


@pytest.fixture
def run(small_asset: Asset, small_capture: Path, tmp_path: Path) -> Path:
    training = {"source": str(small_capture), "size": None}
    small_asset.save(tmp_path / "run", {"training": training})
    return tmp_path / "run"


def test_a_run_knows_what_it_was_trained_on(
    run: Path, small_asset: Asset, small_capture: Path, small_photos: Photos
) -> None:
    before = sorted(run.iterdir())
    found = evaluate_asset(run, small_asset, None, "test")
    direct = list(score(small_asset, small_photos.of("test")))
    assert found["test"] == pytest.approx(summary(direct))
    assert found["views"] == {item.name: pytest.approx(item.figures) for item in direct}
    assert set(found["definition"]) == {*found["test"], "pixels"}
    assert evaluate_asset(run, small_asset, small_capture, "train")["train"]["num_views"] == 6
    assert sorted(run.iterdir()) == before


def test_captures_that_are_gone_are_named(run: Path, small_asset: Asset, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone is not a folder; .* --data CAPTURE"):
        evaluate_asset(run, small_asset, tmp_path / "gone", "test")
    for training in ({}, {"source": 3, "size": None}, {"source": "x", "size": "y"}, [1]):
        small_asset.save(run, {"training": training})
        with pytest.raises(InputError, match=r"asset.json does not say what was trained on"):
            evaluate_asset(run, small_asset, None, "test")
    small_asset.save(run, {})
    with pytest.raises(InputError, match="does not say"):
        evaluate_asset(run, small_asset, None, "test")
