"""Videos of every odd kind, written here and read back."""

import struct
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest
from av.error import InvalidDataError
from av.video.reformatter import ColorRange

from dnr.errors import InputError
from dnr.footage import MOST_PIXELS, decoded_frames, footage_frames, open_footage, opened

SIZE = (48, 70)  # rows, columns


def picture(number: int) -> np.ndarray:  # uint8 [48, 70, 3]
    """Red on top, blue at the bottom left, and as much grey as the number says."""
    image = np.full((*SIZE, 3), 20 + 10 * number, np.uint8)
    image[:12] = (240, 10, 10)
    image[-12:, :30] = (10, 10, 240)
    return image


def write(path: Path, stamps: list[int], **options: str) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(30))
        stream.height, stream.width = SIZE
        stream.pix_fmt = options.pop("pix_fmt", "yuv444p")
        stream.options = {"crf": "4", **options}
        if stream.pix_fmt == "gray":  # or readers take its values for a narrower range
            stream.codec_context.color_range = ColorRange.JPEG
        stream.codec_context.time_base = Fraction(1, 30)
        for number, stamp in enumerate(stamps):
            frame = av.VideoFrame.from_ndarray(picture(number), format="rgb24")
            frame.pts, frame.time_base = stamp, Fraction(1, 30)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def turn(path: Path, quarters: int) -> None:
    """Patch the matrix in the track header, as ISO 14496-12 lays it out: clockwise turns."""
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd") + 4 + 4 + 36
    a, b = [(65536, 0), (0, 65536), (-65536, 0), (0, -65536)][quarters]
    data[place : place + 36] = struct.pack(">9i", a, b, 0, -b, a, 0, 0, 0, 1 << 30)
    path.write_bytes(data)


def test_frames_come_in_order_with_their_own_times(tmp_path: Path) -> None:
    """A gap in the stamps, as phones leave it in the dark."""
    path = tmp_path / "a clip ü.mp4"
    write(path, [0, 1, 2, 9, 10, 11, 12, 13])
    footage = open_footage(path)
    assert footage.size == SIZE and footage.length == 8 and not footage.has_audio
    frames = list(footage_frames(footage))
    assert [frame.number for frame in frames] == list(range(8))
    np.testing.assert_allclose([f.time_s for f in frames][:4], [0, 1 / 30, 2 / 30, 0.3], atol=2e-3)
    for frame in frames:
        assert np.abs(frame.image.astype(int) - picture(frame.number)).max() <= 6
    late = list(footage_frames(footage, start=5))
    assert [(f.number, f.time_s) for f in late] == [(f.number, f.time_s) for f in frames[5:]]


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_frames_are_turned_as_the_file_says(quarters: int, tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write(path, [0, 1, 2])
    turn(path, quarters)
    turned = np.rot90(picture(0), -quarters)
    footage = open_footage(path)
    image = next(footage_frames(footage)).image
    assert footage.size == image.shape[:2] == turned.shape[:2]
    assert np.abs(image.astype(int) - turned).max() <= 6


@pytest.mark.parametrize("pix_fmt", ["yuv420p10le", "gray", "yuv420p"])
def test_ten_bits_and_greys_become_rgb(pix_fmt: str, tmp_path: Path) -> None:
    write(tmp_path / "clip.mp4", [0, 1, 2, 3], pix_fmt=pix_fmt)
    frames = list(footage_frames(open_footage(tmp_path / "clip.mp4")))
    assert len(frames) == 4 and all(frame.image.shape == (*SIZE, 3) for frame in frames)
    middle = np.array([frame.image[24, 50] for frame in frames]).astype(int)
    assert np.abs(middle - np.array([[20], [30], [40], [50]])).max() <= 3, middle


def test_interlaced_frames_are_all_there(tmp_path: Path) -> None:
    write(tmp_path / "clip.mp4", [0, 1, 2, 3, 4], **{"x264-params": "tff=1"})
    frames = list(footage_frames(open_footage(tmp_path / "clip.mp4")))
    assert [frame.number for frame in frames] == [0, 1, 2, 3, 4]
    assert abs(int(frames[-1].image[24, 50, 0]) - 60) <= 4


def test_a_video_that_breaks_off_is_used_up_to_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a decoder says about a torn file differs by codec: the error itself is made here."""
    write(tmp_path / "clip.mp4", list(range(9)))
    footage, said = open_footage(tmp_path / "clip.mp4"), []

    def torn(path: Path) -> Iterator[av.VideoFrame]:
        yield from islice(decoded_frames(path), 5)
        raise InvalidDataError(1094995529, "Invalid data")

    monkeypatch.setattr("dnr.footage.decoded_frames", torn)
    assert len(list(footage_frames(footage, broken=said.append))) == 5
    assert len(said) == 1 and "after 5 frames: Invalid data" in said[0]
    with pytest.raises(InputError, match="breaks off"):
        list(footage_frames(footage))


def test_bad_videos_end_in_a_sentence(tmp_path: Path) -> None:
    good, empty, cut, sound, text = (
        tmp_path / f"{name}.mp4" for name in ("good", "empty", "cut", "sound", "text")
    )
    write(good, [0, 1, 2])
    empty.write_bytes(b"")
    cut.write_bytes(good.read_bytes()[:700])
    text.write_text("not a video at all\n" * 9)
    with av.open(str(sound), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), "fltp", "mono")
        silence.sample_rate = 44100
        container.mux(stream.encode(silence))
        container.mux(stream.encode(None))
    for path, words in (
        (empty, "empty"),
        (cut, "cannot be read"),
        (text, "cannot be read"),
        (sound, "no pictures"),
        (tmp_path / "missing.mp4", "there is no video"),
        (tmp_path, "there is no video"),
    ):
        with pytest.raises(InputError, match=words):
            open_footage(path)


def test_huge_frames_are_refused_before_they_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "clip.mp4", [0])
    monkeypatch.setattr("dnr.footage.MOST_PIXELS", SIZE[0] * SIZE[1] - 1)
    assert MOST_PIXELS >= 7680 * 4320, "8K video is welcome"
    with pytest.raises(InputError, match="70 x 48"):
        opened(tmp_path / "clip.mp4")
