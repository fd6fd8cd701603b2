"""Frames out of videos, and photos out of folders."""

import struct
import sys
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
from PIL import Image

from dnr.capture.albums import collect_photos, photos_in
from dnr.capture.video_frames import Glance, choose, extract_frames, look_through
from dnr.errors import InputError

SIZE = (48, 64)


def picture(shift: float, rng_seed: int = 0) -> np.ndarray:  # uint8 [48, 64, 3]
    """A window that slides over a smooth random pattern; the left part is red."""
    rng = np.random.default_rng(rng_seed)
    column, row = np.meshgrid(np.arange(SIZE[1]) + shift, np.arange(SIZE[0]))
    waves = np.zeros(SIZE)
    for a, b, c in rng.uniform(-0.8, 0.8, (8, 3)) * (1, 1, 8):
        waves += np.sin(a * column + b * row + c)
    image = np.repeat((127 + 20 * waves).clip(0, 255)[..., None], 3, axis=2).astype(np.uint8)
    image[:, :8] = (250, 10, 10)
    return image


def write_clip(path: Path, frames: list[np.ndarray], **options: str) -> None:
    """H.264 with gaps in its time stamps, as phones write it."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(30))
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = options.get("pix_fmt", "yuv420p")
        stream.options = {"crf": "10"}
        for number, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts = number + 5 * (number > 7)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def test_chosen_frames_are_sharp_and_spread_over_the_motion() -> None:
    """The camera rests, then moves; each third frame is sharp."""
    glances = [Glance(n, 1.0 + (n % 3 == 0), 0.0 if n < 100 else 0.01) for n in range(200)]
    chosen = choose(glances, 20)
    assert chosen == sorted(set(chosen)) and 18 <= len(chosen) <= 20
    assert sum(number >= 100 for number in chosen) >= 15
    assert all(number % 3 == 0 for number in chosen)


def test_frames_of_a_slide_are_evenly_apart(tmp_path: Path) -> None:
    path = tmp_path / "a clip ü.mp4"
    write_clip(path, [picture(1.5 * number) for number in range(40)])
    seen = []
    notes = extract_frames(path, tmp_path / "images", 10, seen.append)
    names = sorted(item.name for item in (tmp_path / "images").iterdir())
    numbers = [int(name[:6]) for name in names]
    assert notes == [] and 9 <= len(names) <= 10 and seen[-1] == 40
    assert max(np.diff(numbers)) <= 8
    written = np.asarray(Image.open(tmp_path / "images" / names[3]))
    assert written.shape == (*SIZE, 3)
    assert np.abs(written[:, 12:].astype(int) - picture(1.5 * numbers[3])[:, 12:]).mean() < 6


def test_motion_is_measured_in_shares_of_the_longer_side(tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.mp4", [picture(1.6 * number) for number in range(12)])
    glances, broken = look_through(tmp_path / "clip.mp4")
    assert broken is None and len(glances) == 12
    assert np.median([glance.motion for glance in glances[1:]]) == pytest.approx(1.6 / 64, rel=0.2)


def test_ten_bits_are_read(tmp_path: Path) -> None:
    frames = [picture(2.0 * number) for number in range(20)]
    write_clip(tmp_path / "clip.mp4", frames, pix_fmt="yuv420p10le")
    extract_frames(tmp_path / "clip.mp4", tmp_path / "images", 8)
    assert len(list((tmp_path / "images").iterdir())) >= 7


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_frames_are_turned_as_the_file_says(turns: int, tmp_path: Path) -> None:
    """The matrix in the track header, as ISO 14496-12 lays it out, patched by hand."""
    path = tmp_path / "clip.mp4"
    write_clip(path, [picture(2.0 * number) for number in range(12)])
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd") + 4 + 4 + 36  # version, flags; times, id, duration, layer ...
    plain = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)
    assert data[place : place + 36] == plain
    a, b = [(0, 65536), (-65536, 0), (0, -65536)][turns - 1]  # clockwise quarter turns
    data[place : place + 36] = struct.pack(">9i", a, b, 0, -b, a, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    extract_frames(path, tmp_path / "images", 8)
    written = np.asarray(Image.open(next((tmp_path / "images").iterdir()))).astype(int)
    turned = np.rot90(picture(0), -turns)
    assert written.shape == turned.shape
    red = written[..., 0] - written[..., 1] > 100
    np.testing.assert_array_equal(red.any(axis=1), (turned == (250, 10, 10)).all(2).any(axis=1))


def test_bad_videos_end_in_a_sentence(tmp_path: Path) -> None:
    out = tmp_path / "images"
    still, empty, cut, sound = (tmp_path / f"{n}.mp4" for n in ("still", "empty", "cut", "sound"))
    write_clip(still, [picture(0)] * 30)
    empty.write_bytes(b"")
    cut.write_bytes(still.read_bytes()[:900])
    with av.open(str(sound), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), "fltp", "mono")
        silence.sample_rate = 44100
        container.mux(stream.encode(silence))
        container.mux(stream.encode(None))
    write_clip(tmp_path / "short.mp4", [picture(3 * number) for number in range(4)])
    for path, words in (
        (still, "hardly moves.*--yes"),
        (empty, "empty"),
        (cut, "cannot be read"),
        (sound, "no pictures"),
        (tmp_path / "short.mp4", "only 4 readable"),
        (tmp_path / "gone.mp4", "there is no video"),
    ):
        with pytest.raises(InputError, match=words):
            extract_frames(path, out, 10)
        assert not out.exists()


def test_a_still_picture_is_taken_if_the_user_insists(tmp_path: Path) -> None:
    write_clip(tmp_path / "still.mp4", [picture(0)] * 30)
    (note,) = extract_frames(tmp_path / "still.mp4", tmp_path / "images", 10, insist=True)
    assert "hardly moves" in note and len(list((tmp_path / "images").iterdir())) == 10


def test_four_gigabytes_of_nothing_are_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "large.mp4"
    with path.open("wb") as file:
        file.truncate(4 << 30)  # sparse: it takes no room
    with pytest.raises(InputError, match="cannot be read as a video"):
        extract_frames(path, tmp_path / "images", 10)


def test_heic_photos_need_their_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a stand-in for the reader: photos become JPEG files and keep their focal length."""
    (tmp_path / "photos").mkdir()
    for number in range(9):
        (tmp_path / "photos" / f"IMG_{number}.HEIC").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(InputError, match=r"IMG_0\.HEIC is a HEIC photo.*pip install pillow-heif"):
        collect_photos(tmp_path / "photos", tmp_path / "images")

    def opened(path: Path) -> SimpleNamespace:
        if path.name == "IMG_8.HEIC":
            raise ValueError("no start")
        image = Image.fromarray(picture(int(path.stem[4:])))
        image.getexif().get_ifd(0x8769)[0xA405] = 28
        image.getexif()[0x0112] = 6  # the reader has turned it already
        return SimpleNamespace(to_pillow=lambda: image)

    monkeypatch.setitem(sys.modules, "pillow_heif", SimpleNamespace(open_heif=opened))
    with pytest.raises(InputError, match=r"IMG_8\.HEIC cannot be read: no start"):
        collect_photos(tmp_path / "photos", tmp_path / "images")
    (tmp_path / "photos" / "IMG_8.HEIC").unlink()
    album = collect_photos(tmp_path / "photos", tmp_path / "images")
    assert album.names == [f"{number:04d}.jpg" for number in range(8)]
    assert album.focal_px == pytest.approx(28 / 43.27 * 80, rel=1e-3)
    written = np.asarray(Image.open(tmp_path / "images" / "0002.jpg")).astype(int)
    assert np.abs(written - picture(2)).mean() < 6


def test_a_video_that_breaks_off_is_used_up_to_there(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.mkv", tmp_path / "cut.mkv"
    write_clip(whole, [picture(1.5 * number) for number in range(60)])
    cut.write_bytes(whole.read_bytes()[: int(0.6 * whole.stat().st_size)])
    extract_frames(cut, tmp_path / "images", 10)
    assert len(list((tmp_path / "images").iterdir())) >= 8


def write_photos(folder: Path, count: int, **exif: float) -> None:
    folder.mkdir()
    for number in range(count):
        data = Image.Exif()
        if "orientation" in exif:
            data[0x0112] = int(exif["orientation"])
        if "focal" in exif:
            data.get_ifd(0x8769)[0xA405] = int(exif["focal"])
        Image.fromarray(picture(number)).save(folder / f"IMG_{number}.jpg", quality=97, exif=data)


def test_photos_come_in_counting_order_and_upright(tmp_path: Path) -> None:
    write_photos(tmp_path / "photos", 12, orientation=6, focal=28)
    album = collect_photos(tmp_path / "photos", tmp_path / "images")
    assert album.single_lens and len(album.names) == 12
    assert album.focal_px == pytest.approx(28 / 43.27 * 80, rel=1e-3)  # 48 x 64: diagonal 80
    for number in (2, 10):
        written = np.asarray(Image.open(tmp_path / "images" / album.names[number])).astype(int)
        expected = np.rot90(picture(number), -1).astype(int)  # 6: show turned clockwise
        assert written.shape == expected.shape
        assert np.abs(written - expected).mean() < 6


def test_photos_may_lie_in_a_folder_of_their_own(tmp_path: Path) -> None:
    write_photos(tmp_path / "images", 9)
    Image.fromarray(picture(0)).save(tmp_path / "cover.png")
    assert [path.name for path in photos_in(tmp_path)] == [f"IMG_{n}.jpg" for n in range(9)]


def test_photos_of_different_sizes_do_not_share_a_lens(tmp_path: Path) -> None:
    write_photos(tmp_path / "photos", 9)
    Image.fromarray(picture(3)[:40]).save(tmp_path / "photos" / "IMG_20.png")
    album = collect_photos(tmp_path / "photos", tmp_path / "images")
    assert not album.single_lens and album.focal_px is None and album.names[-1] == "0009.png"


def test_too_few_or_broken_photos_are_named(tmp_path: Path) -> None:
    write_photos(tmp_path / "few", 3)
    with pytest.raises(InputError, match="3 photos are too few"):
        collect_photos(tmp_path / "few", tmp_path / "images")
    write_photos(tmp_path / "broken", 9)
    path = tmp_path / "broken" / "IMG_4.jpg"
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(InputError, match=r"IMG_4\.jpg"):
        collect_photos(tmp_path / "broken", tmp_path / "images")
    assert not (tmp_path / "images").exists()
