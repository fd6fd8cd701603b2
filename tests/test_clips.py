"""Camera paths of runs, and frames along them."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dnr.asset import Asset
from dnr.cli import main
from dnr.clips import ORBIT_FRAMES, one_size, path_cameras, render_frames
from dnr.errors import InputError
from dnr.geometry.cameras import Camera, intrinsics_from_fov, look_at
from dnr.geometry.paths import save_path
from dnr.images import images_from_tensor
from dnr.video import read_frames

SIZE = (18, 24)


def circle(count: int, size: tuple[int, int]) -> list[Camera]:
    angle = torch.arange(count) * (6.28 / count)
    place = torch.stack([3 * angle.cos(), 3 * angle.sin(), 0.5 + 0.1 * angle], dim=1)
    poses = look_at(place, torch.zeros(3), torch.tensor([0.0, 0.0, 1.0]))
    lens = intrinsics_from_fov(50, size, place)
    return [Camera(pose[None], lens, size) for pose in poses]


def rows(cameras: list[Camera]) -> list[dict[str, Any]]:
    """What asset.json says: the first of every three views is for testing."""
    return [
        {
            "name": f"{index}.png",
            "split": "train" if index % 3 else "test",
            "size": list(camera.size),
            "world_to_camera": camera.world_to_camera[0].tolist(),
            "intrinsics": camera.intrinsics[0].tolist(),
        }
        for index, camera in enumerate(cameras)
    ]


@pytest.fixture
def run(small_asset: Asset, tmp_path: Path) -> Path:
    small_asset.save(tmp_path / "run", {"cameras": rows(circle(7, SIZE))})
    return tmp_path / "run"


def test_views_of_a_split_are_those_that_were_saved(run: Path) -> None:
    cameras, saved = path_cameras("test", run), circle(7, SIZE)
    assert (len(cameras), cameras.size) == (3, SIZE)
    for index in range(3):
        expected = saved[3 * index]
        torch.testing.assert_close(cameras[index].world_to_camera, expected.world_to_camera)
        torch.testing.assert_close(cameras[index].intrinsics, expected.intrinsics)
    assert len(path_cameras("train", run)) == 4


def test_an_orbit_has_as_many_views_in_the_height_that_is_asked_for(run: Path) -> None:
    assert len(path_cameras("orbit", run)) == ORBIT_FRAMES
    cameras = path_cameras("orbit", run, num_frames=5, height=36)
    assert (len(cameras), cameras.size) == (5, (36, 48))
    middle = cameras.project(torch.zeros(1, 3))[:, 0, :2]
    assert (middle - torch.tensor([24.0, 18.0])).abs().max() < 6


def test_a_file_comes_as_it_is_or_as_a_flight_through_it(run: Path, tmp_path: Path) -> None:
    saved = circle(4, (10, 16))
    save_path(tmp_path / "path.json", one_size(saved))
    cameras = path_cameras(str(tmp_path / "path.json"), run)
    assert cameras.size == (10, 16)
    torch.testing.assert_close(cameras.world_to_camera, one_size(saved).world_to_camera)
    flight = path_cameras(str(tmp_path / "path.json"), run, num_frames=9)
    assert len(flight) == 9
    for index in (0, -1):
        expected = saved[index].world_to_camera
        torch.testing.assert_close(flight[index].world_to_camera, expected, atol=1e-5, rtol=0)


def test_one_size_cuts_nothing_off_and_stretches_nothing() -> None:
    tall = circle(1, (60, 30))[0]
    cameras = one_size([*circle(2, SIZE), tall])
    assert cameras.size == SIZE
    around = torch.tensor([[0.0, 0, 0], [0.2, 0.1, 0.3], [-0.3, 0.2, -0.1]])
    before, after = tall.project(around)[0], cameras[-1].project(around)[0]
    scale = 18 / 60
    shift = torch.tensor([(24 - 30 * scale) / 2, 0])
    torch.testing.assert_close(after[:, :2], before[:, :2] * scale + shift)


@pytest.mark.parametrize(
    ("path", "cameras", "sentence"),
    [
        ("somewhere", [], "--path must be orbit, train, test or a .json file"),
        ("none.json", [], "there is no none.json"),
        ("orbit", [], "has no train views"),
        ("test", None, "are damaged"),
        ("test", 3, "are damaged"),
        ("test", [{"split": "test"}], "are damaged"),
        ("test", rows(circle(1, (0, 5))), "are damaged"),
        ("test", [rows(circle(1, SIZE))[0] | {"intrinsics": [[1.0]]}], "are damaged"),
        ("test", [rows(circle(1, SIZE))[0] | {"world_to_camera": [[10**400]]}], "are damaged"),
    ],
)
def test_what_cannot_be_a_path_is_a_sentence(
    run: Path, path: str, cameras: Any, sentence: str
) -> None:
    about = json.loads((run / "asset.json").read_text()) | {"cameras": cameras}
    (run / "asset.json").write_text(json.dumps(about))
    with pytest.raises(InputError, match=sentence):
        path_cameras(path, run)


def test_frames_come_in_order_however_many_are_made_at_once(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    asset, cameras = Asset.load(run), path_cameras("orbit", run, num_frames=7)
    frames = list(render_frames(asset, cameras))
    expected = images_from_tensor(asset.render(cameras))
    assert np.array_equal(np.stack(frames), expected)
    assert len({frame.tobytes() for frame in frames}) == 7, "the views must be worth telling apart"


def dnr(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int | str | None:
    monkeypatch.setattr(sys, "argv", ["dnr", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    return end.value.code


def test_the_command_writes_videos_and_folders(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    video, folder = tmp_path / "clip.mp4", tmp_path / "stills"
    assert dnr(monkeypatch, "render", str(run), "--out", str(video), "--frames", "4") == 0
    assert [frame.shape for frame in read_frames(video)] == [(*SIZE, 3)] * 4
    assert dnr(monkeypatch, "render", str(run), "--path", "test", "--out", str(folder)) == 0
    assert len(list(folder.glob("*.png"))) == 3
    assert capsys.readouterr().out.endswith(f"wrote {folder}: 3 frames of 24 x 18\n")
    assert dnr(monkeypatch, "render", str(run), "--path", "test", "--out", str(folder)) == 2
    for wrong in (("--frames", "0"), ("--size", "3"), ("--fps", "nan")):
        assert dnr(monkeypatch, "render", str(run), "--out", str(tmp_path / "x"), *wrong) == 2
        assert f"{wrong[0]} must be" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()
