"""Moving pictures: frames become an MP4 file or a folder of PNG files, one frame at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer
from av.error import FFmpegError
from av.video.reformatter import ColorRange, Colorspace

from dnr.errors import InputError
from dnr.files import new_folder, written_whole
from dnr.images import png_bytes

_BT709 = 1  # the code of H.264's tables for primaries, transfer and matrix alike


def write_clip(path: Path, frames: Iterable[np.ndarray], fps: float = 30) -> None:
    """Write a video if `path` ends in .mp4, a folder of PNG files if it has no suffix."""
    if path.suffix or path.is_file():
        write_video(path, frames, fps)
    else:
        write_frames(path, frames)


def write_video(
    path: Path,  # ends in .mp4
    frames: Iterable[np.ndarray],  # uint8 [H, W, 3], all of one size
    fps: float = 30,
    quality: int = 66,  # 1 to 100, as for JPEG; 66 is x264's CRF 18
) -> None:
    """Write an H.264 video, whole or not at all; frames are pulled and encoded one by one.

    The format stores colour in 2x2 blocks: an odd width or height gains one column or row, a copy
    of the last.
    """
    if path.suffix.lower() != ".mp4":
        raise InputError(
            f"cannot write a video named {path.name}. End the name in .mp4, or give a folder name "
            "without a suffix for PNG frames."
        )
    if not (1 <= quality <= 100 and fps > 0):
        raise ValueError(f"quality must be 1 to 100 and fps positive, got {quality} and {fps}")
    with written_whole(path) as beside:
        first, frames = _with_first(path, frames)
        size = first.shape
        options = {"movflags": "faststart"}  # the index comes first: browsers start at once
        with av.open(str(beside), "w", format="mp4", options=options) as container:
            stream = add_h264(container, size[:2], fps, {"crf": str(round(51 - quality / 2))})
            for image in frames:
                if image.shape != size or image.dtype != np.uint8:
                    raise ValueError(f"frames must all be uint8 {size}, got {image.shape}")
                container.mux(stream.encode(encodable(image)))
            container.mux(stream.encode(None))


def write_frames(folder: Path, frames: Iterable[np.ndarray]) -> None:
    """Write frame_00000.png and so on into a new or empty folder, all or none."""
    with new_folder(folder) as beside:
        _, frames = _with_first(folder, frames)
        for index, image in enumerate(frames):
            (beside / f"frame_{index:05d}.png").write_bytes(png_bytes(image))


def read_frames(path: Path) -> Iterator[np.ndarray]:  # uint8 [H, W, 3]
    """The frames of a video, decoded one at a time."""
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise InputError(f"{path} has no video in it. Give a video file.")
            for frame in container.decode(video=0):
                yield frame.to_ndarray(format="rgb24")
    except FFmpegError as error:
        raise InputError(f"cannot read {path} as a video: {error.strerror}.") from error


def _with_first(
    path: Path, frames: Iterable[np.ndarray]
) -> tuple[np.ndarray, Iterator[np.ndarray]]:
    """The first frame, and all of them."""
    rest = iter(frames)
    first = next(rest, None)
    if first is None:
        raise InputError(f"there are no frames to write to {path}. Choose a path with views in it.")
    return first, chain([first], rest)


def add_h264(
    container: OutputContainer, size: tuple[int, int], fps: float, options: dict[str, str]
) -> av.VideoStream:
    """A new H.264 stream for frames of `size`, with x264's `options` such as crf."""
    stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
    stream.height, stream.width = size[0] + size[0] % 2, size[1] + size[1] % 2
    stream.pix_fmt = "yuv420p"
    stream.options = dict(options)
    say_bt709(stream)
    return stream


def say_bt709(stream: av.VideoStream) -> None:
    """Say how RGB became YUV, or players guess by size and shift the colours."""
    codec = stream.codec_context
    codec.color_primaries = codec.color_trc = codec.colorspace = _BT709
    codec.color_range = ColorRange.MPEG


def encodable(image: np.ndarray) -> av.VideoFrame:  # uint8 [H, W, 3]
    """The frame as `add_h264` streams take it: even sides, BT.709."""
    height, width = image.shape[:2]
    padded = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return av.VideoFrame.from_ndarray(padded, format="rgb24").reformat(
        format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
    )
