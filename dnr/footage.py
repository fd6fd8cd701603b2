"""Videos read one frame at a time: upright, with square pixels, 8-bit RGB, each with its time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.filter import Graph

from dnr.errors import InputError
from dnr.hdr import ordinary_rgb

MOST_PIXELS = 8192 * 8192  # of one frame; checked before anything of that size is made
MOST_STRETCHED = 4  # pixels that are wider or narrower than that are a mistake in the file
LEAST_FPS, MOST_FPS = 1, 240  # rates outside are mistakes in the file too


@dataclass(frozen=True)
class Footage:
    """What a video file says about itself, checked on its first frame."""

    path: Path
    size: tuple[int, int]  # (height, width) of the frames as they are shown
    fps: float  # mean rate; the frames' own times may be uneven
    length: int | None  # about how many frames there are; None if the file does not say
    has_audio: bool


class Frame(NamedTuple):
    """One picture of a video."""

    number: int  # from 0
    time_s: float  # since the first frame; strictly rising
    image: np.ndarray  # uint8 [H, W, 3]


def open_footage(path: Path) -> Footage:
    """The facts about the video `path`; refuses what is damaged, empty, or has no pictures."""
    with opened(path) as container:
        stream = container.streams.video[0]
        rate = float(stream.average_rate or stream.guessed_rate or 30)
        fps = rate if LEAST_FPS <= rate <= MOST_FPS else 30.0
        seconds = (container.duration or 0) / av.time_base
        length = stream.frames or round(seconds * fps) or None
        has_audio = bool(container.streams.audio)
    try:
        first = next(decoded_frames(path), None)
    except FFmpegError as error:
        raise InputError(
            f"{path} is damaged: its first frame cannot be decoded ({error.strerror}). "
            "Copy or convert it again."
        ) from error
    if first is None:
        raise InputError(f"{path} has no readable frames. Copy or convert it again.")
    height, width = upright(path, first).shape[:2]
    return Footage(path, (height, width), fps, length, has_audio)


def footage_frames(
    footage: Footage,
    start: int = 0,  # frames before this one are decoded but not converted
    broken: Callable[[str], object] | None = None,  # is told where a damaged video breaks off
) -> Iterator[Frame]:
    """The frames from `start` on. Where the video breaks off they end, or raise without `broken`.

    A video whose size changes on the way counts as broken there.
    """
    began_s, last_s, done = None, -1.0, 0
    try:
        for number, frame in enumerate(decoded_frames(footage.path)):
            # Some containers give no times, or the same one twice.
            time_s = number / footage.fps if frame.time is None else float(frame.time)
            began_s = time_s if began_s is None else began_s
            last_s = max(time_s - began_s, last_s + 0.1 / footage.fps, 0.0)
            if number >= start:
                image = upright(footage.path, frame)
                if image.shape[:2] != footage.size:
                    raise _SizeChanged
                yield Frame(number, last_s, image)
            done = number + 1
    except (FFmpegError, _SizeChanged) as error:
        why = error.strerror if isinstance(error, FFmpegError) else "its size changes"
        sentence = f"{footage.path} breaks off after {done} frames: {why}."
        if broken is None:
            raise InputError(f"{sentence} Copy or convert it again, or cut it there.") from error
        broken(sentence)


def opened(path: Path) -> InputContainer:
    """The container of the video `path`, if it is one and its pictures have a sensible size."""
    if not path.is_file():
        raise InputError(f"there is no video {path}. Check the path.")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty (0 bytes). Copy it again.")
    try:
        container = av.open(str(path))
    except FFmpegError as error:
        raise InputError(
            f"{path} cannot be read as a video: {error.strerror}. It may be cut short or of an "
            "unknown format; copy or convert it again."
        ) from error
    if not container.streams.video:
        container.close()
        raise InputError(f"{path} has no pictures in it, only sound or data. Give a video.")
    codec = container.streams.video[0].codec_context
    if codec.width * codec.height > MOST_PIXELS:
        container.close()
        raise InputError(
            f"{path} has frames of {codec.width} x {codec.height} pixels, more than "
            f"{MOST_PIXELS >> 20} million. Make it smaller first."
        )
    return container


def decoded_frames(path: Path) -> Iterator[av.VideoFrame]:
    """All frames as the file stores them; interlaced ones are given all their lines."""
    with opened(path) as container:
        container.streams.video[0].thread_type = "AUTO"
        graph = None
        for frame in container.decode(video=0):
            if frame.interlaced_frame and graph is None:
                graph = _deinterlacer(frame)
            if graph is None:
                yield frame
                continue
            graph.vpush(frame)
            yield from _ready(graph)
        if graph is not None:
            graph.vpush(None)  # it holds the last frame back
            yield from _ready(graph)


def upright(path: Path, frame: av.VideoFrame) -> np.ndarray:  # uint8 [H, W, 3]
    """The frame as it is to be shown: turned as the file says, and with square pixels."""
    ratio = float(getattr(frame, "sample_aspect_ratio", None) or 1)
    width = max(round(frame.width * ratio), 1)
    if not 1 / MOST_STRETCHED <= ratio <= MOST_STRETCHED or width * frame.height > MOST_PIXELS:
        raise InputError(
            f"{path} says that its pixels are {ratio:g} times as wide as high. Convert it again."
        )
    image = ordinary_rgb(frame)
    if width != frame.width:
        image = cv2.resize(image, (width, frame.height), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(np.rot90(image, round(frame.rotation / 90)))


class _SizeChanged(Exception):
    """A frame does not have the size of the first one."""


def _ready(graph: Graph) -> Iterator[av.VideoFrame]:
    while True:
        try:
            yield graph.vpull()
        except (BlockingIOError, EOFError):  # it wants more, or it has given all
            return


def _deinterlacer(frame: av.VideoFrame) -> Graph:
    graph = Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format,
        time_base=frame.time_base or Fraction(1, 30),
    )  # fmt: skip
    weave = graph.add("bwdif", "mode=send_frame")
    sink = graph.add("buffersink")
    source.link_to(weave)
    weave.link_to(sink)
    graph.configure()
    return graph
