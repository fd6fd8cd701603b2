"""Pictures, sound and facts about their origin become one file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from heapq import merge
from pathlib import Path
from typing import Any

import av
from av.container import OutputContainer
from av.error import FFmpegError

from avatars.film.kinds import kind_of
from avatars.film.parts import (
    Picture,
    parts_folder,
    remove_parts,
    stretches,
    write_stretches,
)
from avatars.film.provenance import metadata, sidecar_path
from avatars.film.sound import SoundTrack
from dnr.errors import InputError
from dnr.files import write_json, written_whole
from dnr.progress import progress
from dnr.training.stopping import asked_to_stop


@dataclass(frozen=True)
class Film:
    """What is to be written."""

    path: Path  # kinds.py says what its name may end in
    fps: float
    about: dict[str, Any]  # see provenance.py
    sound: Path | None = None
    total: int | None = None  # pictures in all, for the time left


def check_place(path: Path, resume: bool, replace: bool) -> None:
    """Raise unless a film may be written to `path`: before minutes of work, not after."""
    if path.is_dir():
        raise InputError(f"{path} is a folder; give the name of a file that ends in .mp4")
    kind_of(path)
    if path.exists() and not resume and not replace:
        raise InputError(f"{path} exists already; replace it with --yes or choose another name")
    with written_whole(path.with_name(f".{path.name}.try")) as beside:
        beside.touch()
    path.with_name(f".{path.name}.try").unlink()


def write_film(film: Film, pictures: Iterable[Picture], done: int) -> list[str]:
    """Write `pictures`, which follow `done` earlier ones; returns sentences about what is amiss.

    When this is stopped, or the pictures fail, what was made is left as a playable file, and
    continuing with `done` pictures more than before gives the film that was asked for.
    """
    notes: list[str] = []
    encoded = write_stretches(film.path, pictures, done, film.fps)
    try:
        with progress(film.total, "rendering", start=done) as shown, asked_to_stop() as stop:
            try:
                for count in encoded:
                    shown.update(count)
                    if stop():
                        break
            finally:
                encoded.close()
    except BaseException:
        if stretches(film.path):
            _join(film, notes, is_complete=False)
        raise
    _join(film, notes, is_complete=True)
    remove_parts(film.path)
    return notes


def _join(film: Film, notes: list[str], is_complete: bool) -> None:
    """The stretches, end to end without encoding them again, beside the sound."""
    parts = stretches(film.path)
    if not parts:
        raise InputError(f"there are no frames to write to {film.path}; check the driving clip")
    count = parts[-1][1] + parts[-1][2]
    about = film.about | {"frames": count, "complete": is_complete}
    try:
        with written_whole(film.path) as beside:
            options = {"movflags": "faststart+use_metadata_tags"}
            muxer = kind_of(film.path).muxer
            with av.open(str(beside), "w", format=muxer, options=options) as output:
                output.metadata.update(metadata(about))
                _mux(output, [path for path, _, _ in parts], film, count, notes)
    except (FFmpegError, InputError) as error:  # such as a full disk: there are two of all frames
        is_ours = isinstance(error, InputError)
        why = error if is_ours else f"{film.path} cannot be written: {error.strerror}"
        raise InputError(
            f"{why}. The {count} finished frames are in {parts_folder(film.path)}; continue with "
            "--resume."
        ) from error
    write_json(sidecar_path(film.path), about)


def _mux(
    output: OutputContainer, parts: list[Path], film: Film, count: int, notes: list[str]
) -> None:
    with av.open(str(parts[0])) as first:
        stream = output.add_stream_from_template(first.streams.video[0])
    tracks = [_pictures(parts, stream)]
    if film.sound is not None:
        sound = SoundTrack(film.sound, output, kind_of(film.path).sound)
        tracks.append(sound.packets(_end_s(parts[-1], film.fps), notes.append))
    for packet in merge(*tracks, key=_time_s):  # in order, or the muxer would pile them up
        output.mux(packet)


def _pictures(parts: list[Path], stream: av.VideoStream) -> Iterator[av.Packet]:
    for path in parts:
        with av.open(str(path)) as container:
            for packet in container.demux(container.streams.video[0]):
                if packet.pts is not None:
                    packet.dts = packet.pts  # there are no B-frames
                    packet.stream = stream
                    yield packet


def _time_s(packet: av.Packet) -> float:
    return float((packet.dts or 0) * (packet.time_base or 0))


def _end_s(part: Path, fps: float) -> float:
    """When the last picture of a stretch ends."""
    with av.open(str(part)) as container:
        packets = container.demux(container.streams.video[0])
        times = [packet.pts * packet.time_base for packet in packets if packet.pts is not None]
    return float(times[-1]) + 1 / fps
