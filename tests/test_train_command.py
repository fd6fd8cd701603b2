"""train.py from end to end: what it leaves, how it goes on, what it refuses."""

import errno
import json
import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np
import pytest
import torch
from PIL import Image

from dnr.asset import Asset
from dnr.errors import InputError
from dnr.geometry.cameras import Camera
from dnr.tensor_files import load_tensors
from dnr.textures.pyramid import TextureConfig
from dnr.training import run as training
from dnr.training.options import TrainOptions
from dnr.training.presets import PresetName, Recipe, recipe
from dnr.training.state import TrainingState
from dnr.training.steps import step
from dnr.training.views import Views

ROOT = Path(__file__).resolve().parent.parent
SMALL = """
import sys
from dataclasses import replace
from dnr.textures.pyramid import TextureConfig
from dnr.training import presets, run
def small(preset):
    chosen = presets.recipe(preset)
    texture = TextureConfig(size=64, levels=3, colour_size=64)
    return replace(chosen, asset=replace(chosen.asset, texture=texture), batch=512, crop=32)
run.recipe = small
run.CHECKPOINT_EVERY_S = 0
"""
STEPS = 300


class Answer(NamedTuple):
    status: int
    out: str
    err: str


def small(preset: PresetName) -> Recipe:
    """The same as in SMALL, for runs in this process."""
    chosen = recipe(preset)
    texture = TextureConfig(size=64, levels=3, colour_size=64)
    return replace(chosen, asset=replace(chosen.asset, texture=texture), batch=512, crop=32)


Train = Callable[..., Answer]


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


@pytest.fixture(scope="module")
def finished(small_capture: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted run of STEPS steps. Shared: read only."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "recipe", small)
        patch.setattr(sys, "argv", ["train.py", str(small_capture)])
        training.train(TrainOptions(small_capture, out, preset="pixel", steps=STEPS))
    return out


def hidden_files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.name.startswith(".") or ".part" in path.name]


def same_weights(first: Path, second: Path) -> bool:
    ours, theirs = (load_tensors(run / "weights.safetensors") for run in (first, second))
    return ours.keys() == theirs.keys() and all(torch.equal(ours[n], theirs[n]) for n in ours)


def test_a_run_folder_holds_what_is_promised(finished: Path) -> None:
    metrics = json.loads((finished / "metrics.json").read_text())
    assert set(metrics) == {"test", "train", "definition"}
    assert set(metrics["test"]) >= {"psnr", "ssim", "num_views"}
    assert metrics["test"]["num_views"] == 2 and metrics["test"]["psnr"] > 22
    assert set(metrics["train"]) == {"steps", "seconds", "device", "steps_per_second"}
    assert metrics["train"]["steps"] == STEPS and metrics["train"]["device"] == "cpu"
    assert set(metrics["definition"]) >= {*metrics["test"], *metrics["train"]}
    about = json.loads((finished / "asset.json").read_text())
    assert about["format_version"] == 1 and about["kind"] == "scene"
    assert about["training"]["preset"] == "pixel" and len(about["cameras"]) == 8
    assert about["provenance"]["command"].startswith("python train.py")
    report = (finished / "report" / "index.html").read_text()
    assert "PSNR" in report and not re.search(r'(src|href)="https?:', report)
    names = {path.name for path in finished.iterdir()}
    assert names >= {"asset.json", "weights.safetensors", "mesh.npz", "checkpoints", "preview.png"}
    assert "cache" not in names and hidden_files(finished) == []


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


def check_resumes(out: Path, finished: Path, capture: Path, train: Train) -> None:
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
    assert same_weights(out, finished)
    assert json.loads((out / "metrics.json").read_text())["train"]["steps"] == STEPS
    assert not (out / "cache").exists() and hidden_files(out) == []


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_runs_that_are_asked_to_stop_keep_all_steps(
    number: signal.Signals,
    status: int,
    finished: Path,
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
    check_resumes(out, finished, small_capture, train)


def test_a_killed_run_goes_on_from_its_last_checkpoint(
    finished: Path, small_capture: Path, tmp_path: Path, train: Train
) -> None:
    out = tmp_path / "run"
    code = f"{SMALL}sys.argv[0] = 'train.py'\nimport runpy\n"
    code += f"runpy.run_path({str(ROOT / 'train.py')!r}, run_name='__main__')"
    arguments = [str(small_capture), "--out", str(out), "--preset", "pixel", "--steps", str(STEPS)]
    with (tmp_path / "err").open("w") as err:
        process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
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
    check_resumes(out, finished, small_capture, train)


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


def assert_refused(answer: Answer, words: str) -> None:
    assert answer.status == 2, answer
    assert "Traceback" not in answer.err
    sentence = answer.err.strip().splitlines()[-1]
    assert re.search(words, sentence), sentence
    assert len(re.findall(r"[.;] ", sentence)) <= 3 and len(sentence) < 500


@pytest.fixture
def spoiled(small_capture: Path, tmp_path: Path) -> Path:
    """A copy of the capture, for a test to spoil."""
    return shutil.copytree(small_capture, tmp_path / "capture")


def edited(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "transforms.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def pose(document: dict[str, Any]) -> list[list[float]]:
    return document["frames"][1]["transform_matrix"]


def turn_around(document: dict[str, Any]) -> None:
    for frame in document["frames"]:
        matrix = np.array(frame["transform_matrix"])
        matrix[:3, [0, 2]] *= -1
        frame["transform_matrix"] = matrix.tolist()


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def other_mask(folder: Path) -> None:
    Image.new("L", (10, 10)).save(folder / "mask.png")
    edited(folder, lambda d: d["frames"][0].update(mask_path="mask.png"))


def black_masks(folder: Path) -> None:
    Image.new("L", (64, 48)).save(folder / "mask.png")
    edited(folder, lambda d: [frame.update(mask_path="mask.png") for frame in d["frames"]])


BAD_CAPTURES: dict[str, tuple[str, Callable[[Path], object]]] = {
    "missing mesh": (
        r"capture has no mesh.obj.*--mesh.*none could be made",
        lambda f: (f / "mesh.obj").unlink(),
    ),
    "empty mesh": (r"mesh.obj", lambda f: (f / "mesh.obj").write_text("")),
    "no capture": (r"there is no .*capture", shutil.rmtree),
    "no cameras": (
        r"no two photos .*fit together|needs the package pycolmap",
        lambda f: (f / "transforms.json").unlink(),
    ),
    "zero frames": (
        r"transforms.json lists no frames",
        lambda f: edited(f, lambda d: d.update(frames=[])),
    ),
    "no image": (r"0003.png", lambda f: (f / "images/0003.png").unlink()),
    "truncated image": (
        r"0003.png cannot be read.*copy it again",
        lambda f: truncate(f / "images/0003.png"),
    ),
    "unreadable image": (
        r"0003.png cannot be read",
        lambda f: (f / "images/0003.png").write_bytes(b"no"),
    ),
    "other sizes": (
        r"0003.png is 10 x 10 pixels, but transforms.json says 64 x 48",
        lambda f: Image.new("RGB", (10, 10)).save(f / "images/0003.png"),
    ),
    "NaN camera": (
        r"0001.png\) of .*transforms.json has NaN",
        lambda f: edited(f, lambda d: pose(d)[0].__setitem__(3, float("nan"))),
    ),
    "stretched camera": (
        r"0001.png\) of .*transforms.json is not a rotation",
        lambda f: edited(f, lambda d: pose(d)[0].__setitem__(0, 3.0)),
    ),
    "cameras that look away": (r"mesh.obj lies (behind|outside)", lambda f: edited(f, turn_around)),
    "other mask": (r"mask.png is 10 x 10 pixels", other_mask),
    "black masks": (r"no training photo shows the mesh inside its mask", black_masks),
    "wrong JSON": (r"transforms.json is not valid JSON", lambda f: truncate(f / "transforms.json")),
}


@pytest.mark.parametrize("case", BAD_CAPTURES)
def test_bad_captures_are_one_sentence(
    case: str, spoiled: Path, tmp_path: Path, train: Train
) -> None:
    words, spoil = BAD_CAPTURES[case]
    spoil(spoiled)
    answer = train(spoiled, "--out", tmp_path / "run", "--preset", "pixel", "--steps", 2)
    assert_refused(answer, words)
    assert "Traceback" not in answer.err and answer.out == ""
    assert not (tmp_path / "run").exists()


def test_bad_input_does_not_cost_an_earlier_run(
    finished: Path, spoiled: Path, tmp_path: Path, train: Train
) -> None:
    out = shutil.copytree(finished, tmp_path / "run")
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    truncate(spoiled / "images/0003.png")
    answer = train(spoiled, "--out", out, "--preset", "pixel", "--steps", 2, "--yes")
    assert_refused(answer, "0003.png cannot be read")
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_folders_with_other_things_stay(
    finished: Path, small_capture: Path, tmp_path: Path, train: Train
) -> None:
    options = ("--preset", "pixel", "--steps", 2)
    out = shutil.copytree(finished, tmp_path / "run")
    assert_refused(train(small_capture, "--out", out, *options), "is not empty; choose another")
    (out / "old").mkdir()
    answer = train(small_capture, "--out", out, *options, "--yes")
    assert answer.status == 0, answer.err
    assert not (out / "old").exists() and not same_weights(out, finished)
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.tex").write_text("years of work")
    assert_refused(train(small_capture, "--out", foreign, *options, "--yes"), "is not empty")
    assert (foreign / "thesis.tex").read_text() == "years of work"
    assert_refused(
        train(small_capture, "--out", foreign / "thesis.tex", *options, "--yes"), "thesis"
    )
    assert_refused(train(small_capture, "--out", small_capture, *options, "--yes"), "is not empty")


def test_only_what_was_begun_can_be_resumed(
    finished: Path, small_capture: Path, masked_capture: Path, tmp_path: Path, train: Train
) -> None:
    out = tmp_path / "run"
    options = ("--preset", "pixel", "--steps", STEPS, "--resume", "--out", out)
    assert_refused(train(small_capture, *options), "has no checkpoint to resume from")
    assert not out.exists()
    shutil.copytree(finished, out)
    assert_refused(train(masked_capture, *options), "belongs to a run with other photos")
    assert_refused(
        train(small_capture, *options, "--seed", 7), "belongs to a run with other photos"
    )
    assert same_weights(out, finished)
    checkpoint = out / "checkpoints" / "last.safetensors"
    whole = checkpoint.read_bytes()
    checkpoint.write_bytes(whole[: len(whole) // 2])
    assert_refused(train(small_capture, *options), "last.safetensors is damaged")
    torch.save({"step": 3}, checkpoint)
    assert_refused(train(small_capture, *options), r"last.safetensors was written by torch\.save")
    checkpoint.write_bytes(whole)
    (out / "train.json").write_text('{"format_version": 2, "command": ""}')
    assert_refused(train(small_capture, *options), "written by a newer version")
    assert same_weights(out, finished) and not (out / "cache").exists()


def no_space(*_: object, **__: object) -> NoReturn:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("numpy.save", r"photos/0000.npy cannot be written: the disk is full; free some space"),
        ("os.posix_fallocate", r"geometry.npy cannot be written: the disk is full"),
        ("dnr.training.run.write_png", "the disk is full"),
        ("dnr.tensor_files.save_file", r"last.safetensors cannot be written: the disk is full"),
        ("numpy.savez", r"mesh.npz cannot be written: the disk is full"),
    ],
)
def test_a_full_disk_is_one_sentence(
    place: str,
    words: str,
    small_capture: Path,
    tmp_path: Path,
    train: Train,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(place, no_space)
    out = tmp_path / "run"
    answer = train(small_capture, "--out", out, "--preset", "pixel", "--steps", 2)
    assert_refused(answer, words)
    assert not (out / "asset.json").exists() and not (out / "cache").exists()
    assert hidden_files(out) == []
    assert out.exists() == (out / "checkpoints" / "last.safetensors").exists()
