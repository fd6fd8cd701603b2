"""The first pass: faces in every frame, kept on disk, and the one person who is followed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avatars.detectors.faces import NUM_POINTS, FaceDetector, box, overlap
from dnr.errors import InputError
from dnr.footage import Footage, footage_frames
from dnr.words import counted

RECORD = np.dtype(
    [("frame", "<i4"), ("trail", "<i4"), ("score", "<f4"), ("points", "<f4", (NUM_POINTS, 2))]
)
FACES, TIMES = "faces.bin", "times.bin"
SAME_FACE = 0.2  # overlap of boxes that makes them one person's, however long ago the last was
NEAR_S = 0.5  # within that, a face that is alone is the one before, wherever it jumped to
LASTS = 0.05  # of the frames: whoever is seen less is not counted among the people


@dataclass
class Trail:
    """One person, as far as boxes can tell."""

    number: int
    last_box: np.ndarray  # [4]
    last_frame: int


@dataclass(frozen=True)
class Looked:
    """Whom to follow, and where the points are."""

    landmarks: np.ndarray  # float32 [T, 478, 2] on disk; lost frames are bridged
    found: np.ndarray  # bool [T]
    times: np.ndarray  # float64 [T], seconds
    people: int  # trails that last


def look(
    footage: Footage,
    detector: FaceDetector,
    folder: Path,
    show: Callable[[int], object],
    broken: Callable[[str], object],
) -> None:
    """Write the faces and times of all frames into `folder`; memory does not grow with length."""
    trails: list[Trail] = []
    with (folder / FACES).open("wb") as faces, (folder / TIMES).open("wb") as times:
        for frame in footage_frames(footage, broken=broken):
            seen = detector(frame.image)
            for face in seen:
                near = NEAR_S * footage.fps if len(seen) == 1 else 0
                record = np.zeros((), RECORD)
                record["trail"] = _continued(trails, box(face.points), frame.number, near)
                record["frame"], record["score"] = frame.number, face.score
                record["points"] = face.points
                faces.write(record.tobytes())
            times.write(np.float64(frame.time_s).tobytes())
            show(frame.number + 1)


def follow(folder: Path, video: Path, choice: int | None, out: Path) -> Looked:
    """One person's points, written to the .npy file `out`.

    The person who is largest for longest, or the `choice`-th in that order, counted from 1.
    """
    times = np.fromfile(folder / TIMES, np.float64)
    faces = np.memmap(folder / FACES, RECORD, "r") if (folder / FACES).stat().st_size else None
    if faces is None:
        raise InputError(
            f"no face was found in any of the {counted(len(times), 'frame')} of {video}. Use a "
            "video in which a face is seen from the front or the side, large and lit well enough."
        )
    order = _people(faces)
    if choice is not None and not 1 <= choice <= len(order):
        raise InputError(
            f"{video} shows {len(order)} {'person' if len(order) == 1 else 'people'}; "
            f"--face must be 1 to {len(order)}"
        )
    chosen = order[(choice or 1) - 1]
    points = np.lib.format.open_memmap(out, "w+", np.float32, (len(times), NUM_POINTS, 2))
    found = np.zeros(len(times), bool)
    previous = -1
    for row in np.nonzero(faces["trail"] == chosen)[0]:
        number = int(faces["frame"][row])
        points[number] = faces["points"][row]
        found[number] = True
        _bridge(points, previous, number)
        previous = number
    _bridge(points, previous, len(times))
    points.flush()
    return Looked(points, found, times, len(order))


def _continued(trails: list[Trail], here: np.ndarray, number: int, near: float) -> int:
    """The number of the trail that this box continues, or of a new one; trails are brought up."""
    free = [trail for trail in trails if trail.last_frame < number]
    best = max(free, key=lambda trail: overlap(trail.last_box, here), default=None)
    if best is None or overlap(best.last_box, here) < SAME_FACE:
        recent = [trail for trail in free if number - trail.last_frame <= near]
        best = max(recent, key=lambda trail: trail.last_frame, default=None)
    if best is None:
        best = Trail(len(trails), here, number)
        trails.append(best)
    best.last_box, best.last_frame = here, number
    return best.number


def _people(faces: np.ndarray) -> list[int]:  # [R] RECORD
    """Trails by the sum of their faces' sizes, largest first; at least one."""
    sizes = np.zeros(int(faces["trail"].max()) + 1)
    counts = np.bincount(faces["trail"], minlength=len(sizes))
    for start in range(0, len(faces), 4096):
        some = faces[start : start + 4096]
        corners = np.nanmax(some["points"], axis=1) - np.nanmin(some["points"], axis=1)
        np.add.at(sizes, some["trail"], corners.max(axis=1))
    order = np.argsort(-sizes)
    frames = len(np.unique(faces["frame"]))
    return [int(k) for place, k in enumerate(order) if place == 0 or counts[k] >= LASTS * frames]


def _bridge(points: np.ndarray, before: int, after: int) -> None:
    """Fill the frames between two known ones evenly; at the ends the nearest stands still."""
    for number in range(before + 1, after):
        share = (number - before) / (after - before)
        if before < 0:
            points[number] = points[after]
        elif after == len(points):
            points[number] = points[before]
        else:
            points[number] = (1 - share) * points[before] + share * points[after]
