import weakref
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from dnr.errors import InputError
from dnr.video import read_frames, write_clip, write_frames, write_video

COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (30, 60, 90), (255, 255, 255)]


def flat_frames(height: int, width: int) -> Iterator[np.ndarray]:
    for colour in COLOURS:
        yield np.full((height, width, 3), colour, np.uint8)


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def grey(image: np.ndarray) -> np.ndarray:
    """Brightness, which the format keeps at full resolution (colour it does not)."""
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(float)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("size", [(64, 96), (720, 64)])
def test_colours_survive(tmp_path, size) -> None:
    write_video(tmp_path / "flat.mp4", flat_frames(*size))
    back = list(read_frames(tmp_path / "flat.mp4"))
    assert len(back) == len(COLOURS)
    for image, colour in zip(back, COLOURS, strict=True):
        assert image.shape == (*size, 3)
        assert np.abs(image.astype(int) - colour).max() <= 4


def test_another_decoder_sees_the_same(tmp_path) -> None:
    frames = [picture(48, 80, seed) for seed in range(7)]
    write_video(tmp_path / "clip.mp4", frames, fps=23.976, quality=90)
    clip = cv2.VideoCapture(str(tmp_path / "clip.mp4"))
    assert clip.get(cv2.CAP_PROP_FPS) == pytest.approx(23.976, abs=1e-3)
    for image in frames:
        found, bgr = clip.read()
        assert found
        assert np.abs(grey(bgr[..., ::-1]) - grey(image)).mean() < 4
    assert not clip.read()[0]


def test_quality_costs_bytes_and_buys_likeness(tmp_path) -> None:
    frames = [np.random.default_rng(s).integers(0, 256, (64, 96, 3), np.uint8) for s in range(4)]
    sizes, errors = [], []
    for quality in (10, 95):
        path = tmp_path / f"{quality}.mp4"
        write_video(path, frames, quality=quality)
        sizes.append(path.stat().st_size)
        errors.append(np.abs(np.array(list(read_frames(path)), int) - frames).mean())
    assert sizes[0] < sizes[1] and errors[0] > errors[1]


def test_odd_sizes_gain_a_copy_of_the_last_row_and_column(tmp_path) -> None:
    image = picture(33, 47)
    write_video(tmp_path / "odd.mp4", [image] * 3, quality=95)
    back, given = grey(next(read_frames(tmp_path / "odd.mp4"))), grey(image)
    assert back.shape == (34, 48)
    assert np.abs(back[:33, :47] - given).mean() < 2
    assert np.abs(back[33, :47] - given[32]).mean() < 2
    assert np.abs(back[:33, 47] - given[:, 46]).mean() < 2


def test_frames_are_not_collected_in_memory(tmp_path) -> None:
    alive: list[weakref.ref] = []

    def frames() -> Iterator[np.ndarray]:
        for seed in range(40):
            image = picture(32, 48, seed)
            alive.append(weakref.ref(image))
            yield image
            del image
            assert sum(reference() is not None for reference in alive) <= 2

    write_video(tmp_path / "long.mp4", frames())
    assert len(list(read_frames(tmp_path / "long.mp4"))) == 40


def test_failure_leaves_the_old_video_and_nothing_else(tmp_path) -> None:
    def failing() -> Iterator[np.ndarray]:
        yield picture(32, 48)
        raise RuntimeError("the renderer stopped")

    write_video(tmp_path / "clip.mp4", flat_frames(32, 48))
    before = (tmp_path / "clip.mp4").read_bytes()
    with pytest.raises(RuntimeError, match="stopped"):
        write_video(tmp_path / "clip.mp4", failing())
    with pytest.raises(ValueError, match="frames must"):
        write_video(tmp_path / "clip.mp4", [picture(32, 48), picture(32, 50)])
    with pytest.raises(InputError, match="no frames"):
        write_video(tmp_path / "clip.mp4", [])
    with pytest.raises(InputError, match="no frames"):
        write_clip(tmp_path / "frames", [])
    assert names(tmp_path) == ["clip.mp4"]
    assert (tmp_path / "clip.mp4").read_bytes() == before


def test_other_suffixes_are_refused_before_any_work(tmp_path) -> None:
    def untouched() -> Iterator[np.ndarray]:
        raise AssertionError("frames were asked for")
        yield

    for name in ("clip.gif", "clip.webm", "clip.mp4.png"):
        with pytest.raises(InputError, match=r"\.mp4"):
            write_clip(tmp_path / name, untouched())


def test_paths_that_cannot_be_written_are_named(tmp_path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match=r"clip\.mp4"):
        write_video(tmp_path / "file" / "clip.mp4", flat_frames(32, 48))
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(InputError, match=r"folder\.mp4"):
        write_video(tmp_path / "folder.mp4", flat_frames(32, 48))
    assert names(tmp_path) == ["file", "folder.mp4"]


def test_frames_become_numbered_files(tmp_path) -> None:
    images = [picture(9, 14, seed) for seed in range(3)]
    write_frames(tmp_path / "frames", images)
    assert names(tmp_path) == ["frames"]
    assert names(tmp_path / "frames") == [f"frame_{index:05d}.png" for index in range(3)]
    for index, image in enumerate(images):
        bgr = cv2.imread(str(tmp_path / "frames" / f"frame_{index:05d}.png"))
        assert bgr is not None
        np.testing.assert_array_equal(bgr[..., ::-1], image)
    with pytest.raises(InputError, match="frames"):
        write_frames(tmp_path / "frames", images)


def test_files_that_are_no_videos_are_named(tmp_path) -> None:
    (tmp_path / "clip.mp4").write_text("not a video")
    for name in ("clip.mp4", "missing.mp4"):
        with pytest.raises(InputError, match=name):
            next(read_frames(tmp_path / name))
