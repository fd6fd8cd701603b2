"""A film that the disk does not take: what was finished stays playable, and is continued."""

from __future__ import annotations

import errno
import signal
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import av
import numpy as np
import pytest

from avatars.film import parts, write
from avatars.film.parts import Picture, claim_parts
from avatars.film.write import Film, write_film
from dnr.errors import InputError

FRAMES, STRETCH, LIMIT = 25, 10, 60_000
IDENTITY = {"driver": "1"}
LIMITED = """
import resource, signal, sys
sys.path.insert(0, "tests")
from pathlib import Path
from typing import NoReturn
from test_disk_full import *
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # writing fails then, as on a full disk
resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, resource.RLIM_INFINITY))
parts.STRETCH = STRETCH
film = film_at(Path(sys.argv[1]))
claim_parts(film.path, IDENTITY, False)
write_film(film, pictures(0), 0)
"""


def film_at(path: Path) -> Film:
    about = {"statement": "synthetic", "program": "test", "digital_source_type": "test"}
    return Film(path, 25.0, about, None, FRAMES)


def pictures(first: int):
    """Calm at first; then noise, which takes as much space as pictures can."""
    for number in range(first, FRAMES):
        noise = np.random.default_rng(number).integers(0, 256, (160, 160, 3), np.uint8)
        calm = np.full((160, 160, 3), 8 * number, np.uint8)
        yield Picture(noise if number >= 15 else calm, number / 25)


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="limits of file sizes are POSIX")
def test_a_full_disk_keeps_what_was_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = film_at(tmp_path / "film.mp4")
    command = [sys.executable, "-c", LIMITED, str(film.path)]
    root = Path(__file__).resolve().parent.parent
    failed = subprocess.run(command, capture_output=True, text=True, cwd=root)
    assert failed.returncode != 0
    words = failed.stderr.strip().splitlines()[-1]
    assert "cannot be written" in words and f"{STRETCH} finished frames are kept" in words
    assert "--resume" in words
    with av.open(str(film.path)) as container:
        assert len(list(container.decode(video=0))) == STRETCH
    monkeypatch.setattr(parts, "STRETCH", STRETCH)
    done = claim_parts(film.path, IDENTITY, True)
    assert done == STRETCH
    write_film(film, pictures(done), done)
    with av.open(str(film.path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(frames) == FRAMES
    assert abs(float(frames[12].mean()) - 96) < 3


def test_a_disk_that_has_no_room_for_the_film_keeps_its_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = film_at(tmp_path / "film.mp4")
    claim_parts(film.path, IDENTITY, False)

    def full(*_: object) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(write, "_mux", full)
        with pytest.raises(InputError, match=r"disk is full.*25 finished frames.*--resume"):
            write_film(film, pictures(0), 0)
    assert not film.path.exists()
    done = claim_parts(film.path, IDENTITY, True)
    assert done == FRAMES
    write_film(film, pictures(done), done)
    with av.open(str(film.path)) as container:
        assert len(list(container.decode(video=0))) == FRAMES
