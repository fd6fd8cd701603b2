"""train.py from end to end: what it leaves, and how it goes on where it was stopped."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from train_runs import ROOT, STEPS, Train, assert_refused, hidden_files, same_weights

from dnr.asset import Asset
from dnr.errors import InputError
from dnr.geometry.cameras import Camera
from dnr.tensor_files import load_tensors
from dnr.training import run as training
from dnr.training.evaluation import evaluate_asset
from dnr.training.state import TrainingState
from dnr.training.steps import step
from dnr.training.views import Views


def test_a_run_folder_holds_what_is_promised(finished_run: Path) -> None:
    metrics = json.loads((finished_run / "metrics.json").read_text())
    assert set(metrics) == {"test", "averaged_texture", "train", "definition"}
    assert set(metrics["averaged_texture"]) == set(metrics["test"])
    assert metrics["averaged_texture"]["psnr"] < metrics["test"]["psnr"]
    assert set(metrics["test"]) >= {"psnr", "ssim", "num_views"}
    assert metrics["test"]["num_views"] == 2 and metrics["test"]["psnr"] > 22
    assert set(metrics["train"]) == {"steps", "seconds", "device", "steps_per_second"}
    assert metrics["train"]["steps"] == STEPS and metrics["train"]["device"] == "cpu"
    assert set(metrics["definition"]) >= {*metrics["test"], *metrics["train"]}
    about = json.loads((finished_run / "asset.json").read_text())
    assert about["format_version"] == 1 and about["kind"] == "scene"
    assert about["training"]["preset"] == "pixel" and len(about["cameras"]) == 8
    assert about["provenance"]["command"].startswith("python train.py")
    report = (finished_run / "report" / "index.html").read_text()
    assert "PSNR" in report and not re.search(r'(src|href)="https?:', report)
    names = {path.name for path in finished_run.iterdir()}
    assert names >= {"asset.json", "weights.safetensors", "mesh.npz", "checkpoints", "preview.png"}
    assert "cache" not in names and hidden_files(finished_run) == []


def test_a_run_folder_needs_nothing_else(small_capture: Path, tmp_path: Path, train: Train) -> None:
    capture = shutil.copytree(small_capture, tmp_path / "capture")
    answer = train(capture, "--out", tmp_path / "run", "--preset", "pixel", "--steps", 3)
    assert answer.status == 0, answer.err
    assert "asset:" in answer.out and "report:" in answer.out
    before = Asset.load(tmp_path / "run")
    row = json.loads((tmp_path / "run" / "asset.json").read_text())["cameras"][3]
    camera = Camera(
        torch.tensor([row["world_to_camera"]]), torch.tensor([row["intrinsics"]]), (48, 64)
    )
    picture = before.render(camera)
    photo = np.asarray(Image.open(capture / row["name"]).convert("RGB")) / 255
    shutil.rmtree(capture)
    shutil.move(tmp_path / "run", tmp_path / "moved")
    assert torch.equal(Asset.load(tmp_path / "moved").render(camera), picture)
    assert np.abs(picture[0].permute(1, 2, 0).numpy() - photo).mean() < 0.1


def check_resumes(out: Path, finished_run: Path, capture: Path, train: Train) -> None:
    """The run in `out`, stopped half-way, is no asset yet, and ends like the one that was not."""
    checkpoint = out / "checkpoints" / "last.safetensors"
    with pytest.raises(InputError, match="no finished asset"):
        Asset.load(out)
    step = json.loads(bytes(load_tensors(checkpoint)["head"].tolist()))["step"]
    assert 0 <= step < STEPS
    arguments = (capture, "--out", out, "--preset", "pixel", "--steps", STEPS)
    refused = train(*arguments)
    assert refused.status == 2 and "--resume" in refused.err
    answer = train(*arguments, "--resume")
    assert answer.status == 0, answer.err
    assert same_weights(out, finished_run)
    assert json.loads((out / "metrics.json").read_text())["train"]["steps"] == STEPS
    assert not (out / "cache").exists() and hidden_files(out) == []


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_runs_that_are_asked_to_stop_keep_all_steps(
    number: signal.Signals,
    status: int,
    finished_run: Path,
    small_capture: Path,
    tmp_path: Path,
    train: Train,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The signal comes in the middle of a step; without a checkpoint before it."""

    def interrupted(state: TrainingState, views: Views, seed: int) -> float:
        if state.step == STEPS // 3:
            signal.raise_signal(number)
        return step(state, views, seed)

    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(training, "step", interrupted)
        answer = train(small_capture, "--out", out, "--preset", "pixel", "--steps", STEPS)
    assert answer.status == status
    assert "Traceback" not in answer.err and not (out / "cache").exists()
    head = load_tensors(out / "checkpoints" / "last.safetensors")["head"]
    assert json.loads(bytes(head.tolist()))["step"] == STEPS // 3 + 1
    check_resumes(out, finished_run, small_capture, train)


def test_a_killed_run_goes_on_from_its_last_checkpoint(
    finished_run: Path, small_capture: Path, tmp_path: Path, train: Train
) -> None:
    out = tmp_path / "run"
    code = "import sys; from dnr.training import run; from train_runs import small\n"
    code += "run.recipe = small; run.CHECKPOINT_EVERY_S = 0\n"
    code += "sys.argv[0] = 'train.py'; import runpy\n"
    code += f"runpy.run_path({str(ROOT / 'train.py')!r}, run_name='__main__')"
    arguments = [str(small_capture), "--out", str(out), "--preset", "pixel", "--steps", str(STEPS)]
    with (tmp_path / "err").open("w") as err:
        process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "OMP_NUM_THREADS": "1"},
            stdout=subprocess.DEVNULL,
            stderr=err,
        )
    end = time.monotonic() + 60
    while not (out / "preview.png").exists():  # beside the first checkpoint, training has begun
        assert process.poll() is None, (tmp_path / "err").read_text()
        assert time.monotonic() < end
        time.sleep(0.01)
    time.sleep(0.3)
    process.kill()
    assert process.wait(20) == -signal.SIGKILL
    check_resumes(out, finished_run, small_capture, train)


def test_the_seed_decides(small_capture: Path, tmp_path: Path, train: Train) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        train(
            small_capture,
            "--out",
            tmp_path / name,
            "--preset",
            "pixel",
            "--steps",
            5,
            "--seed",
            seed,
        )
    assert same_weights(tmp_path / "a", tmp_path / "b")
    assert not same_weights(tmp_path / "a", tmp_path / "c")


def test_minutes_end_training(small_capture: Path, tmp_path: Path, train: Train) -> None:
    began = time.monotonic()
    answer = train(small_capture, "--out", tmp_path / "run", "--preset", "pixel", "--minutes", 0.02)
    assert answer.status == 0, answer.err
    about = json.loads((tmp_path / "run" / "metrics.json").read_text())["train"]
    assert 0.6 < about["seconds"] < 2.5 and time.monotonic() - began < 20
    both = ("--minutes", 5, "--steps", 4)
    answer = train(small_capture, "--out", tmp_path / "both", "--preset", "pixel", *both)
    assert json.loads((tmp_path / "both" / "metrics.json").read_text())["train"]["steps"] == 4


@pytest.mark.parametrize("background", ["auto", "captured", "random"])
def test_masked_photos(background: str, masked_capture: Path, tmp_path: Path, train: Train) -> None:
    out = tmp_path / "run"
    answer = train(
        masked_capture, "--out", out, "--preset", "unet", "--steps", 6, "--background", background
    )
    assert answer.status == 0, answer.err
    shape = Asset.load(out).backdrop.image.shape
    assert shape == ((3, 128, 256) if background == "captured" else (3, 1, 1))
    assert json.loads((out / "metrics.json").read_text())["test"]["psnr"] > 15


def test_random_backgrounds_need_masks(
    small_capture: Path, masked_capture: Path, tmp_path: Path, train: Train
) -> None:
    options = ("--out", tmp_path / "run", "--background", "random", "--preset")
    answer = train(small_capture, *options, "unet")
    assert_refused(answer, r"--background random needs photos with masks")
    answer = train(masked_capture, *options, "paper")
    assert_refused(answer, r"the paper's network is not told the background")
    assert not (tmp_path / "run").exists()


def test_exposure_and_cameras_are_learned_and_kept(
    small_capture: Path, tmp_path: Path, train: Train
) -> None:
    """A run with both switches scores both ways, and `dnr eval` finds the same numbers again."""
    out = tmp_path / "run"
    arguments = ("--preset", "pixel", "--steps", 40, "--exposure", "--refine-cameras")
    answer = train(small_capture, "--out", out, *arguments)
    assert answer.status == 0, answer.err
    metrics = json.loads((out / "metrics.json").read_text())
    for part in ("test", "averaged_texture"):
        assert {"psnr", "psnr_half", "psnr_neighbours"} <= set(metrics[part])
    assert "psnr_neighbours" in metrics["definition"] and "psnr_neighbours" in answer.out
    again = evaluate_asset(out, Asset.load(out), None, "test")["test"]
    assert again == pytest.approx(metrics["test"], abs=1e-3)
