"""How well one photo is driven: `python -m benchmarks.oneshot --clips DIR --portraits DIR`.

Self: the first frame of each clip is driven by the clip itself and compared with its true frames,
beside the first frame moved by the best turn, scale and shift. Cross: portraits and first frames
are driven by other clips, and what the result's face does is compared with what the driver's does.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
import tyro

from avatars.detectors.mediapipe import mediapipe_detector, mediapipe_masker
from avatars.oneshot.actor import portrait_puppet, puppet_actor
from avatars.oneshot.engine import Puppet, drawn_landmarks
from avatars.oneshot.portrait import read_portrait
from avatars.reenact.actor import Actor
from avatars.reenact.perform import acted
from avatars.tracking.options import TrackOptions
from avatars.tracking.track import Track
from avatars.tracking.track_video import track_video
from avatars.transfer.driver import performance_of
from avatars.transfer.transfer import TransferOptions
from benchmarks.oneshot_measures import (
    correlation,
    curves,
    eyes_open,
    jitter,
    landmark_errors,
    psnr,
    regions,
    similarity,
)
from benchmarks.tables import table
from dnr.footage import footage_frames, open_footage
from dnr.images import contact_sheet, write_png

SELF = TransferOptions(neutral_frame=0, smooth=False)
PLACES = ("whole", "person", "face", "mouth", "eyes")
CURVES = ("mouth", "width", "right eye", "left eye", "yaw", "pitch", "gaze")
NEIGHBOURS = 40  # frames that jitter is measured on
SHOWN = 6  # frames of each pair on the sheet


@dataclass(frozen=True)
class Options:
    clips: Path
    """Folder of .mp4 files with talking heads."""
    portraits: Path
    """Folder of photos and paintings."""
    every: int = 5
    """Look at one frame in so many."""
    sheet: Path | None = None
    """PNG file for a contact sheet of the results."""
    tracks: Path | None = None
    """Folder to keep the clips' tracks in, so that they need not be made again."""


@dataclass(frozen=True)
class Clip:
    path: Path
    track: Track
    numbers: list[int]  # of the frames that are looked at
    frames: list[np.ndarray]

    @property
    def points(self) -> np.ndarray:  # [N, 478, 2]
        return self.track.landmarks[self.numbers].numpy()


class Driven(NamedTuple):
    """A photo that acted a clip."""

    actor: Actor
    pictures: list[np.ndarray]
    lips: np.ndarray  # [N] how far apart they were drawn, free of the head's distance
    ms: float  # of processor time for each picture


def main(options: Options) -> None:
    """Print both tables."""
    torch.set_num_threads(1)
    rows: list[list[np.ndarray]] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.tracks or Path(scratch)
        clips = [
            read_clip(path, folder, options.every) for path in sorted(options.clips.glob("*.mp4"))
        ]
        stills = []
        for clip in clips:
            stills.append(Path(scratch) / f"{clip.path.stem}.png")
            write_png(stills[-1], clip.frames[0])
        print(self_table(list(zip(clips, stills, strict=True)), rows), flush=True)
        photos = sorted(path for path in options.portraits.iterdir() if path.suffix != ".md")
        print(cross_table(clips, [*photos, *stills], rows))
    if options.sheet is not None:
        write_png(options.sheet, contact_sheet(rows, [[""] * len(row) for row in rows]))


def read_clip(path: Path, folder: Path, every: int) -> Clip:
    """The clip, tracked, with the frames that are looked at in memory."""
    track = track_video(path, folder / path.stem, TrackOptions(report=False, refine=False))
    frames = [f.image for f in footage_frames(open_footage(path)) if f.number % every == 0]
    return Clip(path, track, list(range(0, len(track), every))[: len(frames)], frames)


def driven(photo: Path, puppet: Puppet, clip: Clip, options: TransferOptions) -> Driven:
    """What comes of the frames that are looked at."""
    actor = puppet_actor(photo, puppet)
    performance = acted(performance_of(clip.track), actor, options)
    frames = [performance.frame(number) for number in clip.numbers]
    actor.picture(frames[0])  # compiled and warm
    began = time.process_time()
    pictures = [actor.picture(frame) for frame in frames]
    took = 1000 * (time.process_time() - began) / len(pictures)
    lips = [_gap(drawn_landmarks(puppet, frame)) * float(frame.pose[0, 2, 3]) for frame in frames]
    return Driven(actor, pictures, np.array(lips), took)


def _gap(points: np.ndarray) -> float:  # [478, 2]
    return float(np.linalg.norm(points[13] - points[14]))


def found_points(pictures: list[np.ndarray]) -> tuple[np.ndarray, float]:
    """Landmarks of the largest face in each picture, and the share of pictures with one."""
    detector, points, count = mediapipe_detector(), [], 0
    for picture in pictures:
        faces = detector(picture)
        count += bool(faces)
        largest = max(faces, key=lambda face: float(np.ptp(face.points[:, 0])), default=None)
        if largest is not None:
            points.append(largest.points)
        else:
            points.append(points[-1] if points else np.zeros((478, 2), np.float32))
    return np.stack(points), count / len(pictures)


def self_table(clips: list[tuple[Clip, Path]], rows: list[list[np.ndarray]]) -> str:
    """PSNR against the true frames, gain over the moved first frame; landmark errors as ratios."""
    head = [
        "self, PSNR in dB (gain)",
        *PLACES,
        "landmarks",
        "lips + lids",
        "jitter / true",
        "found",
        "ms",
    ]
    lines = []
    for clip, still in clips:
        actor, pictures, _, ms = driven(still, portrait_puppet(still)[0], clip, SELF)
        points, share = found_points(pictures)
        rows.append(chosen(clip.frames))
        rows.append(chosen(pictures))
        scores = np.array(list(compared(clip, pictures, points)))  # [N, 2, 7]
        base, ours = scores.mean(axis=0)
        cells = [f"{ours[i]:.2f} ({ours[i] - base[i]:+.2f})" for i in range(len(PLACES))]
        ratios = [f"{ours[i] / base[i]:.2f}" for i in (5, 6)]
        shake = f"{shaking(actor, clip):.2f}"
        lines.append([clip.path.stem, *cells, *ratios, shake, f"{share:.0%}", f"{ms:.0f}"])
    return table(head, lines)


def shaking(actor: Actor, clip: Clip) -> float:
    """Jitter over that of the true clip, in neighbouring frames."""
    numbers = range(min(NEIGHBOURS, len(clip.track)))
    performance = acted(performance_of(clip.track), actor, SELF)
    points, _ = found_points([actor.picture(performance.frame(number)) for number in numbers])
    return jitter(points) / jitter(clip.track.landmarks[list(numbers)].numpy())


def compared(
    clip: Clip, pictures: list[np.ndarray], points: np.ndarray
) -> Iterator[list[list[float]]]:
    """For each frame but the first: five PSNR and two landmark errors, of the base and of ours."""
    masker = mediapipe_masker()
    first, marks = clip.frames[0], clip.points
    for index in range(1, len(pictures)):
        truth = clip.frames[index]
        size = truth.shape[0], truth.shape[1]
        matrix = similarity(marks[0], marks[index])
        moved = cv2.warpAffine(first, matrix, size[::-1], borderMode=cv2.BORDER_REPLICATE)
        at = marks[0] @ matrix[:, :2].T + matrix[:, 2]
        masks = regions(size, marks[index], masker(truth))
        yield [
            [*(psnr(truth, image, mask) for mask in masks), *landmark_errors(marks[index], places)]
            for image, places in ((moved, at), (pictures[index], points[index]))
        ]


def cross_table(clips: list[Clip], photos: list[Path], rows: list[list[np.ndarray]]) -> str:
    """Correlations of what the result's face does with what the driver's does."""
    lines = []
    for photo in photos:
        puppet, _ = portrait_puppet(photo)
        for clip in clips:
            if clip.path.stem == photo.stem:
                continue
            _, pictures, drawn, ms = driven(photo, puppet, clip, TransferOptions())
            points, share = found_points(pictures)
            rows.append([small(read_portrait(photo).image), *chosen(pictures)])
            follows = correlations(clip.points, points)
            lips = correlation(curves(clip.points)["mouth"], drawn)
            cells = [f"{lips:.2f}", *(f"{follows[name]:.2f}" for name in CURVES)]
            lines.append(
                [f"{clip.path.stem} drives {photo.stem}", *cells, f"{share:.0%}", f"{ms:.0f}"]
            )
    return table(["cross, correlation", "drawn lips", *CURVES, "found", "ms"], lines)


def correlations(driver: np.ndarray, made: np.ndarray) -> dict[str, float]:
    """For each curve; gaze only where the driver's eyes are open."""
    theirs, ours, open_ = curves(driver), curves(made), eyes_open(driver)
    seen: dict[str, Any] = {name: slice(None) for name in CURVES} | {"gaze": open_}
    return {name: correlation(theirs[name][seen[name]], ours[name][seen[name]]) for name in CURVES}


def chosen(pictures: list[np.ndarray]) -> list[np.ndarray]:
    """Some of them, small."""
    numbers = np.linspace(0, len(pictures) - 1, SHOWN).round().astype(int)
    return [small(pictures[number]) for number in numbers]


def small(image: np.ndarray) -> np.ndarray:
    scale = 240 / image.shape[0]
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
