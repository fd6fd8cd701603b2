"""Sharp frames of a video, spread evenly over its motion, decoded one at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import av
import cv2
import numpy as np
from av.error import FFmpegError

from dnr.errors import InputError
from dnr.files import new_folder
from dnr.footage import decoded_frames, opened, upright
from dnr.hdr import dynamic_range

LEAST_FRAMES = 8
THUMBNAIL = 160  # pixels along the longer side, for motion
MOST_LOOKED_AT = 4000  # frames; of longer videos only each so-manieth is looked at
LEAST_MOTION = 0.15  # of the longer side, over the whole video
JPEG_QUALITY = 96


class Glance(NamedTuple):
    """What is remembered of a frame."""

    number: int
    sharpness: float
    motion: float  # median shift since the last glance, as a share of the longer side


def extract_frames(
    video: Path,
    out: Path,
    count: int,
    shown: Callable[[int], object] = int,
    insist: bool = False,  # also where the picture hardly moves
) -> list[str]:
    """Write about `count` frames as JPEG files into the new folder `out`; returns notes.

    Frames are upright, have square pixels and the ordinary range of brightness. A video that breaks
    off is used up to there.
    """
    glances, broken = look_through(video, shown)
    notes = [f"{video.name} breaks off after {len(glances)} frames: {broken}"] if broken else []
    if len(glances) < LEAST_FRAMES:
        raise InputError(
            f"{video} has only {len(glances)} readable frames{': ' + broken if broken else ''}. "
            "Give a video of at least a few seconds."
        )
    moved = sum(glance.motion for glance in glances)
    if moved < LEAST_MOTION:
        problem = (
            f"the picture hardly moves in {video} ({100 * moved:.0f} % of its width in all). Film "
            "again while walking around the scene."
        )
        if not insist:
            raise InputError(f"{problem} Or try it all the same with --yes.")
        notes.append(problem)
    kinds = set()
    with new_folder(out) as beside:
        for number, frame in _chosen_frames(video, set(choose(glances, count))):
            kinds.add(dynamic_range(frame))
            image = upright(video, frame)
            flags = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
            data = cv2.imencode(".jpg", image[..., ::-1], flags)[1].tobytes()
            (beside / f"{number:06d}.jpg").write_bytes(data)
    for kind in kinds - {None}:
        notes.append(f"{video.name} is {kind}; its frames were brought to the ordinary range")
    return notes


def choose(glances: list[Glance], count: int) -> list[int]:
    """The sharpest frame of each of `count` stretches with equal motion, in order."""
    travelled = np.cumsum([glance.motion for glance in glances])
    # A little of plain time, so that frames are also taken where nothing moves.
    place = travelled / max(travelled[-1], 1e-9) + 0.1 * np.linspace(0, 1, len(glances))
    stretch = np.minimum((place / place[-1] * count).astype(int), count - 1)
    sharpness = np.array([glance.sharpness for glance in glances])
    best = {}
    for index, part in enumerate(stretch.tolist()):
        if part not in best or sharpness[index] > sharpness[best[part]]:
            best[part] = index
    return [glances[index].number for index in sorted(best.values())]


def look_through(
    video: Path, shown: Callable[[int], object] = int
) -> tuple[list[Glance], str | None]:
    """A glance at every frame; and why the video could not be read to its end, if so."""
    glances: list[Glance] = []
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
    previous = None
    try:
        every = max(_length(video) // MOST_LOOKED_AT, 1)
        for number, frame in enumerate(decoded_frames(video)):
            if number % every:
                continue
            grey = _grey(frame, 4 * THUMBNAIL)
            sharpness = float(cv2.Laplacian(cv2.GaussianBlur(grey, (0, 0), 1), cv2.CV_32F).var())
            scale = THUMBNAIL / max(grey.shape)
            size = (max(round(grey.shape[1] * scale), 16), max(round(grey.shape[0] * scale), 16))
            small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
            motion = 0.0
            if previous is not None and previous.shape == small.shape:
                shift = flow.calc(previous, small, np.zeros((*small.shape, 2), np.float32))
                motion = float(np.median(np.linalg.norm(shift, axis=2))) / THUMBNAIL
            previous = small
            glances.append(Glance(number, sharpness, motion))
            shown(number + 1)
    except FFmpegError as error:
        return glances, str(error.strerror)
    return glances, None


def _length(video: Path) -> int:
    """About how many frames there are; 0 if the file does not say."""
    with opened(video) as container:
        stream = container.streams.video[0]
        if stream.frames:
            return stream.frames
        seconds = (container.duration or 0) / av.time_base
        return int(seconds * float(stream.average_rate or 30))


def _grey(frame: av.VideoFrame, longer: int) -> np.ndarray:  # uint8 [H, W]
    """A reduced picture; it may lie on its side."""
    scale = min(longer / max(frame.width, frame.height), 1)
    width, height = max(round(frame.width * scale), 16), max(round(frame.height * scale), 16)
    return frame.reformat(width, height, "gray").to_ndarray()


def _chosen_frames(video: Path, chosen: set[int]) -> Iterator[tuple[int, av.VideoFrame]]:
    """The frames with these numbers, up to where the video breaks off."""
    try:
        for number, frame in enumerate(decoded_frames(video)):
            if number in chosen:
                yield number, frame
            if number >= max(chosen):
                return
    except FFmpegError:
        return  # the first look has said so
