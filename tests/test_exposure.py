"""Gains per photo: nothing changes at zero, drift is found, and scores do not depend on it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dnr.asset import Asset
from dnr.capture.folder import load_capture, load_capture_mesh
from dnr.capture.photos import Photos, prepare_photos
from dnr.files import read_json
from dnr.synthetic.captures import write_capture
from dnr.synthetic.config import SceneConfig
from dnr.textures.pyramid import TextureConfig
from dnr.training.evaluation import score, summary
from dnr.training.exposure import Exposure, exposures_of, fitted_gain, photo_gains
from dnr.training.presets import recipe
from dnr.training.state import TrainingState, new_state
from dnr.training.steps import step
from dnr.training.views import lay_out_views
from dnr.training.warm_start import find_backdrop, project_photos, start_neural_channels

DRIFTING = SceneConfig(
    size=(48, 64),
    num_train=16,
    num_test=3,
    texture_size=128,
    proxy_faces=400,
    exposure_drift=0.2,
    supersampling=1,
)


def test_at_zero_nothing_changes(generator: torch.Generator) -> None:
    colour = torch.rand(1000, 3, generator=generator) * 3 - 1
    view = torch.randint(0, 5, (1000,), generator=generator)
    assert torch.equal(Exposure(5)(colour, view), colour)


def test_gains_have_a_geometric_mean_of_one(generator: torch.Generator) -> None:
    exposure = Exposure(7)
    torch.nn.init.normal_(exposure.log_gain, generator=generator)
    gains = exposure(torch.ones(7, 3), torch.arange(7))
    assert torch.allclose(gains.log().mean(dim=0), torch.zeros(3), atol=1e-6)
    expected = (exposure.log_gain - exposure.log_gain.mean(dim=0)).exp()[[2, 2]]
    assert torch.allclose(exposure(torch.ones(2, 3), torch.tensor([2, 2])), expected)


def test_the_fitted_gain_is_the_least_squares_one(rng: np.random.Generator) -> None:
    render, photo = rng.random((2, 3, 5, 7))
    weight = rng.integers(0, 2, (5, 7)).astype(float)
    root = np.sqrt(weight).reshape(-1, 1)
    for channel in range(3):
        expected = np.linalg.lstsq(
            root * render[channel].reshape(-1, 1), root[:, 0] * photo[channel].ravel(), rcond=None
        )[0]
        found = fitted_gain(*map(torch.from_numpy, (render, photo, weight)))
        assert float(found[channel]) == pytest.approx(float(expected[0]))
    black = fitted_gain(torch.zeros(3, 2, 2), torch.ones(3, 2, 2), torch.ones(2, 2))
    assert torch.isfinite(black).all()


def test_held_out_photos_take_the_mean_of_those_beside_them() -> None:
    names = ["e", "c", "a", "b", "d"]  # by name: a (test) b c (test) d e (test)
    splits = ["test", "test", "test", "train", "train"]
    gains = torch.tensor([[1.0, 2.0, 4.0], [4.0, 2.0, 1.0]])  # of b and d
    found = exposures_of(names, splits, gains)  # type: ignore
    expected = [gains[1], torch.tensor([2.0, 2.0, 2.0]), gains[0], gains[0], gains[1]]
    torch.testing.assert_close(found, torch.stack(expected))


def log_gains(folder: Path) -> np.ndarray:  # [V, 3]
    """The true ones of the training photos, with a mean of zero."""
    frames = read_json(folder / "transforms.json")["frames"]
    truth = np.log([frame["true_gain"] for frame in frames if frame["split"] == "train"])
    return truth - truth.mean(axis=0)


@pytest.fixture(scope="module")
def drifting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("captures") / "drifting"
    write_capture(folder, DRIFTING)
    return folder


def trained(folder: Path, work: Path, exposure: bool) -> tuple[TrainingState, Photos]:
    capture = load_capture(folder)
    mesh, _ = load_capture_mesh(capture)
    photos = prepare_photos(capture, work / "photos")
    views = lay_out_views(photos.of("train"), mesh, work / "views")
    chosen = recipe("pixel")
    texture = TextureConfig(size=64, levels=3, colour_size=64)
    chosen = replace(chosen, asset=replace(chosen.asset, texture=texture), batch=2048)
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    gains = photo_gains(views) if exposure else None
    asset = Asset(chosen.asset, mesh, find_backdrop(views, gains=gains))
    start_neural_channels(asset, generator)
    project_photos(asset, views, gains)
    state = new_state(asset, chosen, len(views), exposure, total=300)
    if state.exposure is not None and gains is not None:
        state.exposure.start(gains)
    for _ in range(300):
        step(state, views, seed=0)
    return state, photos


def test_gains_are_close_before_the_first_step(drifting: Path, tmp_path: Path) -> None:
    capture = load_capture(drifting)
    mesh, _ = load_capture_mesh(capture)
    views = lay_out_views(prepare_photos(capture, tmp_path).of("train"), mesh, tmp_path)
    gains = photo_gains(views).log().numpy()
    truth = log_gains(drifting)
    off = np.abs(gains - truth).mean()
    print(f"gains {np.abs(truth).mean():.3f} on average, found to {off:.3f}")
    np.testing.assert_allclose(gains.mean(axis=0), 0, atol=1e-5)
    assert off < 0.25 * np.abs(truth).mean()
    dark = replace(views, colours=views.colours * np.array([0, 0, 0, 1, 1], np.uint8))
    assert torch.equal(photo_gains(dark), torch.ones(16, 3))


def test_drifting_photos_need_their_gains(drifting: Path, tmp_path: Path) -> None:
    """The protocol for photos of unknown exposure: gains from the left half, scores on the right.

    The held-out photos' exposure is random, so whole-image PSNR says nothing here.
    """
    plain, photos = trained(drifting, tmp_path / "plain", exposure=False)
    coded, _ = trained(drifting, tmp_path / "coded", exposure=True)
    test = photos.of("test")
    anything = torch.ones(len(test), 3)
    scores = [summary(list(score(s.asset, test, anything))) for s in (plain, coded)]
    truth = log_gains(drifting)
    assert coded.exposure is not None
    found = coded.exposure.log_gain.detach().numpy()
    found = found - found.mean(axis=0)
    off = float(np.abs(found - truth).mean())
    gained = scores[1]["psnr_half"] - scores[0]["psnr_half"]
    print(f"half-image PSNR {scores[0]['psnr_half']:.2f} -> {scores[1]['psnr_half']:.2f} dB")
    print(f"gains {np.abs(truth).mean():.3f} on average, found to {off:.3f}")
    assert gained > 1.0
    assert off < 0.15 * np.abs(truth).mean()
    assert scores[1]["psnr_half"] > scores[1]["psnr"]  # the gain was worth fitting
