"""What train.py refuses: one sentence, status 2, and nothing half-written."""

import errno
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import torch
from PIL import Image
from train_runs import STEPS, Train, assert_refused, hidden_files, same_weights


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
        r"no (two )?photos .*fit together|needs the package pycolmap",
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
    finished_run: Path, spoiled: Path, tmp_path: Path, train: Train
) -> None:
    out = shutil.copytree(finished_run, tmp_path / "run")
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    truncate(spoiled / "images/0003.png")
    answer = train(spoiled, "--out", out, "--preset", "pixel", "--steps", 2, "--yes")
    assert_refused(answer, "0003.png cannot be read")
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_folders_with_other_things_stay(
    finished_run: Path, small_capture: Path, tmp_path: Path, train: Train
) -> None:
    options = ("--preset", "pixel", "--steps", 2)
    out = shutil.copytree(finished_run, tmp_path / "run")
    assert_refused(train(small_capture, "--out", out, *options), "is not empty; choose another")
    (out / "old").mkdir()
    answer = train(small_capture, "--out", out, *options, "--yes")
    assert answer.status == 0, answer.err
    assert not (out / "old").exists() and not same_weights(out, finished_run)
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
    finished_run: Path, small_capture: Path, masked_capture: Path, tmp_path: Path, train: Train
) -> None:
    out = tmp_path / "run"
    options = ("--preset", "pixel", "--steps", STEPS, "--resume", "--out", out)
    assert_refused(train(small_capture, *options), "has no checkpoint to resume from")
    assert not out.exists()
    shutil.copytree(finished_run, out)
    assert_refused(train(masked_capture, *options), "belongs to a run with other photos")
    assert_refused(
        train(small_capture, *options, "--seed", 7), "belongs to a run with other photos"
    )
    assert same_weights(out, finished_run)
    checkpoint = out / "checkpoints" / "last.safetensors"
    whole = checkpoint.read_bytes()
    checkpoint.write_bytes(whole[: len(whole) // 2])
    assert_refused(train(small_capture, *options), "last.safetensors is damaged")
    torch.save({"step": 3}, checkpoint)
    assert_refused(train(small_capture, *options), r"last.safetensors was written by torch\.save")
    checkpoint.write_bytes(whole)
    (out / "train.json").write_text('{"format_version": 2, "command": ""}')
    assert_refused(train(small_capture, *options), "written by a newer version")
    assert same_weights(out, finished_run) and not (out / "cache").exists()


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
