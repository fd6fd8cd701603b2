"""A video in the making: finished stretches of frames in a folder, so that no frame is lost.

Each stretch is a whole file of its own. A crash or a full disk costs the stretch it strikes; Ctrl-C
or a broken source cost nothing, because the stretch is closed where it is.
"""

from __future__ import annotations

import shutil
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from av.error import FFmpegError

from avatars.film.kinds import kind_of
from dnr.errors import InputError
from dnr.files import DISK_TROUBLES, check_format, read_json, write_json

STRETCH = 100
"""Frames in a stretch."""
CLOCK = 90_000
"""Ticks per second: uneven frame times survive."""
FORMAT_VERSION = 1


class Picture(NamedTuple):
    """One frame of a film."""

    image: np.ndarray  # uint8 [H, W, 3], or with alpha [H, W, 4]
    time_s: float  # rising


def parts_folder(film: Path) -> Path:
    """Where the stretches of `film` are kept until it is complete."""
    return film.with_name(f"{film.name}.parts")


def claim_parts(film: Path, identity: dict[str, Any], resume: bool) -> int:
    """Make the folder of stretches ready, and return the number of frames in it.

    `identity` says what the film is made of; a film of something else cannot be resumed.
    """
    folder = parts_folder(film)
    described = folder / "film.json"
    if not resume:
        shutil.rmtree(folder, ignore_errors=True)
        write_json(described, {"format_version": FORMAT_VERSION, "identity": identity})
        return 0
    if not described.is_file():
        raise InputError(f"{film} has no interrupted work to resume; start without --resume")
    value = read_json(described)
    check_format(described, value, FORMAT_VERSION)
    if value.get("identity") != identity:
        raise InputError(
            f"{folder} belongs to a film of another source, driver or options; use the same ones, "
            "or start again without --resume"
        )
    for half in folder.glob("*.half"):
        half.unlink()
    return sum(count for _, _, count in stretches(film))


@contextmanager
def forget_if_empty(film: Path) -> Iterator[None]:
    """If the block fails on bad input before the first picture, nothing is left behind."""
    try:
        yield
    except InputError:
        if not stretches(film):
            remove_parts(film)
        raise


def remove_parts(film: Path) -> None:
    """Forget the stretches: the film is complete."""
    shutil.rmtree(parts_folder(film))


def stretches(film: Path) -> list[tuple[Path, int, int]]:
    """Path, first frame and number of frames of every stretch, without gaps from frame 0 on."""
    found, expected = [], 0
    for path in sorted(parts_folder(film).glob("*-*.stretch")):
        first, count = (int(word) for word in path.stem.split("-"))
        if first == expected:
            found.append((path, first, count))
            expected += count
    return found


def write_stretches(
    film: Path,
    pictures: Iterable[Picture],
    first: int,  # number of the first of the pictures
    fps: float,
) -> Generator[int, None, None]:
    """Encode `pictures` behind the stretches that are there; gives the count after each picture.

    What was encoded is kept when the pictures, or whoever pulls at this iterator, fail or stop.
    """
    pictures = iter(pictures)
    while (picture := next(pictures, None)) is not None:
        stretch = _Stretch(film, first, picture.image.shape, fps)
        try:
            while picture is not None:
                stretch.add(picture)
                yield first + stretch.count
                if stretch.count == STRETCH:
                    break
                picture = next(pictures, None)
        finally:
            stretch.close()
        first += stretch.count


class _Stretch:
    """One file of frames. Disk troubles become an `InputError` that says what is kept."""

    def __init__(self, film: Path, first: int, shape: tuple[int, ...], fps: float) -> None:
        self.film, self.first, self.shape, self.count = film, first, shape, 0
        self.half = parts_folder(film) / f"{first:08d}.half"
        self.kind = kind_of(film)
        if shape[2] != 3 + self.kind.has_alpha:
            raise ValueError(f"pictures of {film.name} must not have {shape[2]} channels")
        muxer = self.kind.stretch_muxer
        self.container = self._try(lambda: av.open(str(self.half), "w", format=muxer))
        self.stream = self.kind.add_pictures(self.container, (shape[0], shape[1]), fps)
        self.stream.time_base = self.stream.codec_context.time_base = Fraction(1, CLOCK)

    def add(self, picture: Picture) -> None:
        if picture.image.shape != self.shape or picture.image.dtype != np.uint8:
            raise ValueError(f"frames must all be uint8 {self.shape}, got {picture.image.shape}")
        frame = self.kind.frame(picture.image)
        frame.pts, frame.time_base = round(picture.time_s * CLOCK), Fraction(1, CLOCK)
        self._try(lambda: self.container.mux(self.stream.encode(frame)))
        self.count += 1

    def close(self) -> None:
        try:
            self._try(self._finish)
        except InputError:
            self.half.unlink(missing_ok=True)
            raise
        if self.count:
            self.half.rename(self.half.with_name(f"{self.first:08d}-{self.count:08d}.stretch"))
        else:
            self.half.unlink()

    def _finish(self) -> None:
        self.container.mux(self.stream.encode(None))
        self.container.close()

    def _try(self, work: Any) -> Any:
        try:
            return work()
        except (FFmpegError, OSError) as error:
            words = DISK_TROUBLES.get(error.errno or 0) or error.strerror or str(error)
            raise InputError(
                f"{self.film} cannot be written: {words}. {self.first} finished frames are kept in "
                f"{parts_folder(self.film)}; continue with --resume."
            ) from error
