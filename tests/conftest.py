"""What all tests share: one thread on purpose, and random numbers that repeat."""

import runpy
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from train_runs import ROOT, STEPS, Answer, Train, small

from dnr.asset import Asset, AssetConfig
from dnr.capture.folder import load_capture, load_capture_mesh
from dnr.capture.photos import Photos, prepare_photos
from dnr.geometry.meshes import Mesh
from dnr.renderers.pixel import PixelConfig
from dnr.renderers.unet import PaperUNet
from dnr.synthetic.captures import write_capture
from dnr.synthetic.config import SceneConfig
from dnr.textures.pyramid import TextureConfig
from dnr.training import run as training
from dnr.training.options import TrainOptions
from dnr.training.views import Views, lay_out_views

# On a busy machine two threads that wait for each other are several times slower than one.
torch.set_num_threads(1)


@pytest.fixture
def generator() -> torch.Generator:
    """Seeded, on the CPU."""
    return torch.Generator().manual_seed(0)


@pytest.fixture
def rng() -> np.random.Generator:
    """Seeded."""
    return np.random.default_rng(0)


SMALL = SceneConfig(size=(48, 64), num_train=6, num_test=2, texture_size=128, proxy_faces=400)
SMALL_TEXTURE = TextureConfig(size=64, levels=3, colour_size=64)


@pytest.fixture(scope="session")
def small_capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A glossy sphere in eight small photos. Shared by all tests: read only."""
    folder = tmp_path_factory.mktemp("captures") / "sphere"
    write_capture(folder, SMALL)
    return folder


@pytest.fixture(scope="session")
def masked_capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A still life in eight small photos with masks. Shared by all tests: read only."""
    folder = tmp_path_factory.mktemp("captures") / "masked"
    write_capture(folder, replace(SMALL, scene="still-life", masks=True))
    return folder


@pytest.fixture(scope="session")
def small_mesh(small_capture: Path) -> Mesh:
    return load_capture_mesh(load_capture(small_capture))[0]


@pytest.fixture(scope="session")
def small_photos(small_capture: Path, tmp_path_factory: pytest.TempPathFactory) -> Photos:
    return prepare_photos(load_capture(small_capture), tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="session")
def small_views(
    small_photos: Photos, small_mesh: Mesh, tmp_path_factory: pytest.TempPathFactory
) -> Views:
    """The training photos of the sphere."""
    return lay_out_views(small_photos.of("train"), small_mesh, tmp_path_factory.mktemp("views"))


@pytest.fixture
def small_asset(small_mesh: Mesh, generator: torch.Generator) -> Asset:
    """Untrained, with every weight random, so that each of them shows in the picture."""
    config = AssetConfig(SMALL_TEXTURE, PixelConfig(hidden=16, lamps=4))
    asset = Asset(config, small_mesh, torch.rand(3, 4, 8, generator=generator))
    with torch.no_grad():
        for parameter in asset.parameters():
            parameter.copy_(torch.rand(parameter.shape, generator=generator) * 0.4)
    asset.diffuse.random_(0, 256, generator=generator)
    return asset


@pytest.fixture
def small_paper(monkeypatch: pytest.MonkeyPatch) -> None:
    """The published network with a hundredth of its weights: tests of files need no more."""
    monkeypatch.setattr(PaperUNet, "down_widths", (8, 8, 16, 16, 16))
    monkeypatch.setattr(PaperUNet, "up_widths", (16, 16, 8, 8, 3))


@pytest.fixture
def train(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Train]:
    """train.py in this process, with little of everything."""
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(training, "recipe", small)

    def command(*arguments: object) -> Answer:
        capfd.readouterr()
        monkeypatch.setattr(sys, "argv", ["train.py", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(ROOT / "train.py"), run_name="__main__")
        assert isinstance(end.value.code, int)
        out, err = capfd.readouterr()
        return Answer(end.value.code, out, err)

    yield command
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="session")
def finished_run(small_capture: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted run of STEPS steps. Shared: read only."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "recipe", small)
        patch.setattr(sys, "argv", ["train.py", str(small_capture)])
        training.train(TrainOptions(small_capture, out, preset="pixel", steps=STEPS))
    return out


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a GPU where there is none, also when `-m gpu` asks for it."""
    if not torch.cuda.is_available():
        for item in items:
            if "gpu" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="needs CUDA"))
