"""reenact.py from end to end on a toy avatar: whole, resumed, live, and with bad input."""

from __future__ import annotations

import json
import urllib.request
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from toy_avatars import SIZE, toy_performance, toy_run

from avatars.avatar.files import load_avatar
from avatars.detectors.faces import Face
from avatars.heads.files import load_head
from avatars.heads.head import head_vertices, landmark_points
from avatars.reenact.avatar_actor import avatar_actor, composed, make_set
from avatars.reenact.backdrop import backdrop
from avatars.reenact.command import reenact
from avatars.reenact.live import FIRST_FRAMES, live_pictures
from avatars.reenact.options import ReenactOptions
from avatars.reenact.preview import preview
from avatars.transfer.openings import openings
from avatars.transfer.performance import load_performance, save_performance
from avatars.transfer.transfer import TransferOptions
from dnr.errors import InputError
from dnr.video import write_video


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An avatar's run folder."""
    return toy_run(tmp_path_factory.mktemp("avatar"))


@pytest.fixture(scope="module")
def motion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Somebody else's motion, with uneven times."""
    path = tmp_path_factory.mktemp("motion") / "driver.npz"
    performance = toy_performance(load_head(), frames=14, seed=3)
    times = torch.cumsum(torch.tensor([0.0, *[0.04, 0.06] * 6, 0.04], dtype=torch.float64), dim=0)
    save_performance(path, replace(performance, times=times))
    return path


def decoded(path: Path) -> tuple[list[float], list[np.ndarray]]:
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    return [float(f.time or 0) for f in frames], [f.to_ndarray(format="rgb24") for f in frames]


def test_motion_becomes_a_film_that_says_what_it_is(
    run: Path, motion: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.mp4"
    reenact(ReenactOptions(source=run, out=out, driving=motion))
    times, frames = decoded(out)
    assert np.allclose(times, np.cumsum([0, *[0.04, 0.06] * 6, 0.04]), atol=1e-3)
    assert frames[0].shape == (SIZE, SIZE, 3)
    assert np.abs(frames[0].astype(int) - frames[6]).mean() > 1  # it moves
    about = json.loads((tmp_path / "out.mp4.json").read_text())
    assert about["synthetic"] and about["complete"] and about["frames"] == 14
    assert about["asset"]["consent"] == "a toy" and len(about["driver"]["sha256"]) == 64
    assert "no sound" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.mp4", "out.mp4.json"]


def test_a_face_that_is_lost_is_bridged_and_said(
    run: Path, motion: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    driver, out, path = load_performance(motion), tmp_path / "out.mp4", tmp_path / "gaps.npz"
    found = torch.ones(len(driver), dtype=torch.bool)
    found[[0, 1, 2, 8, 9]] = False  # at the start, and midway
    save_performance(path, replace(driver, found=found))
    reenact(ReenactOptions(source=run, out=out, driving=path))
    assert "in 5 of 14 driving frames no face was found" in capsys.readouterr().out
    assert len(decoded(out)[0]) == 14


def test_an_interrupted_film_is_continued(
    run: Path, motion: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, out = tmp_path / "whole.mp4", tmp_path / "out.mp4"
    reenact(ReenactOptions(source=run, out=whole, driving=motion))

    def broken(*args: object):
        for count, item in enumerate(perform(*args)):  # type: ignore[arg-type]
            if count == 5:
                raise InputError("the disk is full")
            yield item

    from avatars.reenact import command
    from avatars.reenact.perform import perform

    monkeypatch.setattr(command, "perform", broken)
    with pytest.raises(InputError, match="disk is full"):
        reenact(ReenactOptions(source=run, out=out, driving=motion))
    assert len(decoded(out)[0]) == 5
    monkeypatch.undo()
    with pytest.raises(InputError, match="exists already"):
        reenact(ReenactOptions(source=run, out=out, driving=motion))
    weaker = TransferOptions(strength=0.5)
    with pytest.raises(InputError, match="other"):
        reenact(ReenactOptions(source=run, out=out, driving=motion, transfer=weaker, resume=True))
    reenact(ReenactOptions(source=run, out=out, driving=motion, resume=True))
    times, frames = decoded(out)
    expected_times, expected = decoded(whole)
    assert np.allclose(times, expected_times, atol=1e-4)
    difference = np.abs(np.stack(frames).astype(int) - np.stack(expected))
    assert difference.mean() < 3  # encoded in other stretches


def test_background_mark_and_regions(run: Path, motion: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    mouth = TransferOptions(only=("mouth",))
    options = {"background": "#00ff00", "mark": True, "transfer": mouth, "audio": "none"}
    reenact(ReenactOptions(source=run, out=out, driving=motion, **options))  # type: ignore[arg-type]
    _, frames = decoded(out)
    corner = frames[3][2:8, 2:8].reshape(-1, 3).mean(axis=0)
    assert corner[1] > 200 and corner[0] < 60 and corner[2] < 60


def test_the_set_keeps_the_detail_of_the_background(run: Path) -> None:
    saved = load_avatar(run)
    rng = np.random.default_rng(0)
    behind = rng.integers(0, 255, (SIZE, SIZE, 3), np.uint8)
    scene = make_set(saved, behind)
    nobody = torch.zeros(1, 1, SIZE, SIZE)
    soft = torch.from_numpy(scene.soft).permute(2, 0, 1)[None]
    assert np.abs(composed(scene, soft, nobody).astype(int) - behind).max() <= 1


def test_backgrounds_are_colours_or_images(tmp_path: Path) -> None:
    assert backdrop("captured", (4, 6)) is None
    red = backdrop("red", (4, 6))
    assert red is not None and red.shape == (4, 6, 3) and (red[0, 0] == (255, 0, 0)).all()
    with pytest.raises(InputError, match="neither"):
        backdrop("no such thing", (4, 6))
    (tmp_path / "broken.png").write_bytes(b"x")
    with pytest.raises(InputError, match="not an image"):
        backdrop(str(tmp_path / "broken.png"), (4, 6))


def test_bad_input_is_one_sentence_and_leaves_nothing(
    run: Path, motion: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.mp4"
    blank = tmp_path / "blank.mp4"
    write_video(blank, [np.zeros((64, 64, 3), np.uint8)] * 5)
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(b"not looked at")
    scene = tmp_path / "scene"
    scene.mkdir()
    (scene / "asset.json").write_text('{"format_version": 1, "kind": "scene"}')
    other = tmp_path / "other.npz"
    save_performance(other, replace(toy_performance(load_head(), 4), head="flame2020"))
    for words, changes in (
        ("not there|no driving video", {"driving": tmp_path / "missing.mp4"}),
        ("face", {"driving": blank}),
        ("is a photo", {"driving": photo}),
        ("not an avatar", {"source": scene}),
        ("no avatar or portrait", {"source": tmp_path / "nobody"}),
        ("flame2020", {"driving": other}),
        ("--neutral-frame", {"transfer": TransferOptions(neutral_frame=99)}),
        (r"end the name in \.mp4", {"out": tmp_path / "out.avi"}),
        ("no interrupted work", {"resume": True}),
    ):
        values = {"source": run, "out": out, "driving": motion} | changes
        with pytest.raises(InputError, match=words):
            reenact(ReenactOptions(**values))  # type: ignore[arg-type]
        assert not out.exists() and not list(tmp_path.glob("*.parts")), words
    for words, changes in (
        ("either --driving", {"driving": None}),
        ("motion file has no pictures", {"side_by_side": True}),
    ):
        values = {"source": run, "out": out, "driving": motion} | changes
        with pytest.raises(InputError, match=words):
            ReenactOptions(**values)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="--only or --without"):
        TransferOptions(only=("mouth",), without=("eyes",))
    with pytest.raises(InputError, match="--strength"):
        TransferOptions(strength=-1.0)


def test_live_driving_follows_from_the_frame_on_that_it_knows_the_driver(run: Path) -> None:
    head = load_head()
    driver = toy_performance(head, FIRST_FRAMES + 12, seed=5)
    actor = avatar_actor(run, torch.device("cpu"), "captured")
    points = []
    for index in range(len(driver)):
        frame = driver.frame(index)
        vertices = head_vertices(head, driver.identity, frame.motion)
        local = landmark_points(head, vertices)[0] @ frame.pose[0, :, :3].T + frame.pose[0, :, 3]
        points.append((1.8 * 200 * local[:, :2] / local[:, 2:] + 100).numpy())
    shown = []
    waiting = iter(points)

    def remembered(frame):  # what the actor is asked to do
        shown.append(frame)
        return np.zeros((4, 4, 3), np.uint8)

    spy = replace(actor, picture=remembered)
    blank = [np.zeros((200, 200, 3), np.uint8)] * len(points)
    made = live_pictures(spy, blank, lambda _: [Face(next(waiting), 1.0)], TransferOptions(), 25)
    assert sum(1 for _ in made) == len(points)
    own = openings(head, actor.person.identity)["mouth"]
    theirs = openings(head, driver.identity)["mouth"]
    opened = torch.cat([own.of(frame.motion.expression) for frame in shown])
    assert float(opened[: FIRST_FRAMES - 1].std()) < 1e-6  # at rest until then
    wanted = theirs.of(driver.motion.expression)[FIRST_FRAMES:]
    follows = torch.corrcoef(torch.stack([opened[FIRST_FRAMES:], wanted]))[0, 1]
    assert float(follows) > 0.9


def test_the_preview_is_a_stream_of_pictures() -> None:
    with preview(port=0) as (shown, address):
        with urllib.request.urlopen(address, timeout=10) as answer:
            assert "multipart/x-mixed-replace" in answer.headers["Content-Type"]
            for value in range(40):
                shown.show(np.full((8, 8, 3), value, np.uint8))
            assert answer.readline() == b"--picture\r\n"
            assert b"image/jpeg" in answer.readline()
