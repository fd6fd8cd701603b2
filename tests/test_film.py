"""Films: times and sound kept, nothing lost when interrupted, resumed as if never stopped."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from avatars.film import parts
from avatars.film.mark import marked
from avatars.film.parts import Picture, claim_parts, parts_folder
from avatars.film.provenance import file_hash, provenance, sidecar_path
from avatars.film.sound import sound_of
from avatars.film.write import Film, check_place, write_film
from dnr.errors import InputError

SIZE = (34, 47)  # odd: encoders want even sides
TIMES = np.cumsum([0.0, *np.resize([0.04, 0.02, 0.05], 29)])


def picture(number: int) -> Picture:
    image = np.full((*SIZE, 3), 40, np.uint8)
    image[4:30, 4 + number : 12 + number] = 220
    return Picture(image, float(TIMES[number]))


def pictures(first: int = 0, last: int = 30, fail_at: int | None = None) -> Iterator[Picture]:
    for number in range(first, last):
        if number == fail_at:
            raise InputError("the driver breaks off")
        yield picture(number)


def write_sound(path: Path, codec: str = "aac", with_video: bool = True) -> None:
    with av.open(str(path), "w") as container:
        audio = container.add_stream(codec, rate=16000)
        assert isinstance(audio, av.AudioStream)
        if with_video:
            video = container.add_stream("libx264", rate=25)
            video.width, video.height, video.pix_fmt = 32, 32, "yuv420p"
            blank = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
            container.mux(video.encode(blank))
            container.mux(video.encode(None))
        time = np.arange(32000) / 16000
        samples = (8000 * np.sin(2 * np.pi * 440 * time)).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 16000, 0, Fraction(1, 16000)
        container.mux(audio.encode(frame))
        container.mux(audio.encode(None))


def film_at(path: Path, sound: Path | None = None) -> Film:
    about = provenance({"name": "me", "sha256": "1"}, {"name": "you", "sha256": "2"})
    return Film(path, 25, about, sound)


def start(film: Film, resume: bool = False) -> int:
    return claim_parts(film.path, {"driver": "2"}, resume)


def decoded(path: Path) -> tuple[list[float], np.ndarray]:
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    return [float(f.time or 0) for f in frames], np.stack(
        [f.to_ndarray(format="rgb24") for f in frames]
    )


def sound_seconds(path: Path) -> tuple[str, float]:
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        samples = sum(frame.samples for frame in container.decode(audio=0))
        return stream.codec_context.name, samples / stream.codec_context.sample_rate


def test_times_pictures_and_origin_arrive(tmp_path: Path) -> None:
    film = film_at(tmp_path / "a film.mp4")
    assert write_film(film, pictures(), start(film)) == []
    times, images = decoded(film.path)
    assert np.allclose(times, TIMES, atol=1e-4)
    assert np.abs(images[7, : SIZE[0], : SIZE[1]].astype(int) - picture(7).image).mean() < 4
    with av.open(str(film.path)) as container:
        inside = json.loads(container.metadata["provenance"])
    beside = json.loads(sidecar_path(film.path).read_text())
    assert inside == beside and beside["synthetic"] and beside["complete"]
    assert beside["frames"] == 30 and "TrainedAlgorithmicMedia" in beside["digital_source_type"]
    assert not parts_folder(film.path).exists()


@pytest.mark.parametrize("codec, kept", [("aac", "aac"), ("pcm_s16le", "aac")])
def test_sound_is_kept_to_the_end_of_the_pictures(tmp_path: Path, codec: str, kept: str) -> None:
    source = tmp_path / "driver.mov"
    write_sound(source, codec)
    assert sound_of(source) == (source, "")
    film = film_at(tmp_path / "film.mp4", source)
    write_film(film, pictures(), start(film))
    name, seconds = sound_seconds(film.path)
    assert name == kept
    assert abs(seconds - (TIMES[-1] + 0.04)) < 0.15


def test_no_sound_and_broken_sound_are_said_in_a_sentence(tmp_path: Path) -> None:
    silent = film_at(tmp_path / "silent.mp4")
    write_film(silent, pictures(), start(silent))
    assert sound_of(silent.path)[0] is None and "no sound" in sound_of(silent.path)[1]
    broken = tmp_path / "broken.mov"
    write_sound(broken, with_video=False)
    data = bytearray(broken.read_bytes())
    first, end = data.index(b"mdat") + 4, data.index(b"moov")
    data[first:end] = b"\xff" * (end - first)
    broken.write_bytes(data)
    path, sentence = sound_of(broken)
    assert path is None and "cannot be decoded" in sentence


@pytest.mark.parametrize("stretch", [7, 100])
def test_what_was_made_is_kept_and_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stretch: int
) -> None:
    monkeypatch.setattr(parts, "STRETCH", stretch)
    film = film_at(tmp_path / "film.mp4")
    with pytest.raises(InputError, match="breaks off"):
        write_film(film, pictures(fail_at=18), start(film))
    assert len(decoded(film.path)[0]) == 18
    assert not json.loads(sidecar_path(film.path).read_text())["complete"]
    done = start(film, resume=True)
    assert done == 18
    write_film(film, pictures(first=done), done)
    times, images = decoded(film.path)
    assert np.allclose(times, TIMES, atol=1e-4)
    assert np.abs(images[25, : SIZE[0], : SIZE[1]].astype(int) - picture(25).image).mean() < 4


def test_ctrl_c_finishes_the_file(tmp_path: Path) -> None:
    code = (
        "import signal, sys; sys.path.insert(0, 'tests')\n"
        "from pathlib import Path; from test_film import *\n"
        "def slow():\n"
        "    for p in pictures():\n"
        "        yield p\n"
        "        if p.time_s > 0.5: signal.raise_signal(signal.SIGINT)\n"
        f"film = film_at(Path({str(tmp_path / 'film.mp4')!r}))\n"
        "write_film(film, slow(), start(film))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True)
    assert done.returncode in (1, -signal.SIGINT, 130) and b"KeyboardInterrupt" in done.stderr
    times, _ = decoded(tmp_path / "film.mp4")
    assert 10 < len(times) < 20


def test_another_film_cannot_be_continued(tmp_path: Path) -> None:
    film = film_at(tmp_path / "film.mp4")
    with pytest.raises(InputError, match="no interrupted work"):
        start(film, resume=True)
    start(film)
    with pytest.raises(InputError, match="another source"):
        claim_parts(film.path, {"driver": "3"}, resume=True)


def test_places_that_cannot_be_written_are_found_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder"):
        check_place(tmp_path, False, False)
    (tmp_path / "old.mp4").touch()
    with pytest.raises(InputError, match="exists already"):
        check_place(tmp_path / "old.mp4", False, False)
    with pytest.raises(InputError, match="cannot be written"):
        check_place(tmp_path / "old.mp4" / "new.mp4", False, False)
    check_place(tmp_path / "new.mp4", False, False)
    assert [path.name for path in tmp_path.iterdir()] == ["old.mp4"]
    with pytest.raises(InputError, match=r"end the name in \.mp4"):
        check_place(tmp_path / "film.avi", False, False)


def test_the_mark_stands_out_on_black_and_white_and_leaves_the_rest() -> None:
    for ground in (0, 255):
        image = np.full((240, 320, 3), ground, np.uint8)
        seen = marked(image)
        assert (seen[:200] == image[:200]).all()
        corner = seen[225:235, 5:80].astype(int)
        assert corner.max() - corner.min() > 100


def test_hash_depends_on_content_only(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one")
    (tmp_path / "b").write_bytes(b"one")
    (tmp_path / "c").write_bytes(b"two")
    assert file_hash(tmp_path / "a") == file_hash(tmp_path / "b") != file_hash(tmp_path / "c")
