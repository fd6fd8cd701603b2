"""A track in the making: a folder in which finished passes are kept, so that work resumes."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np

from avatars.tracking.options import TrackOptions
from avatars.tracking.track import TRACK
from dnr.array_files import load_arrays, save_arrays
from dnr.errors import InputError
from dnr.files import read_json, write_json

SOURCE = "source.json"
SAMPLE = 1 << 20  # bytes at both ends of the video that tell whether it is the same


def fingerprint(video: Path, options: TrackOptions) -> dict[str, str]:
    """What the track depends on."""
    size = video.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with video.open("rb") as file:
        digest.update(file.read(SAMPLE))
        file.seek(max(size - SAMPLE, 0))
        digest.update(file.read(SAMPLE))
    asked = {name: value for name, value in asdict(options).items() if name != "device"}
    if asked["head"] == TrackOptions.head:
        del asked["head"]  # tracks are older than this choice
    return {"video": digest.hexdigest(), "options": json.dumps(asked, default=str)}


def is_done(out: Path, source: dict[str, str]) -> bool:
    """Whether `out` holds the finished track of just this; refuses to touch anything else."""
    if not out.exists() or (out.is_dir() and next(out.iterdir(), None) is None):
        return False
    if not (out / TRACK).is_file():
        raise InputError(f"{out} exists already and is no track; choose another name.")
    if (out / SOURCE).is_file() and read_json(out / SOURCE) == source:
        return True
    raise InputError(
        f"{out} holds the track of another video, or one made with other options; remove it or "
        "choose another name."
    )


def workshop(out: Path, source: dict[str, str]) -> Path:
    """The folder beside `out` to work in; what an earlier attempt finished is in it."""
    folder = out.with_name(f"{out.name}.part")
    is_same = (folder / SOURCE).is_file() and read_json(folder / SOURCE) == source
    if folder.exists() and not is_same:
        shutil.rmtree(folder)  # of another video: start again
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / SOURCE, source)
    return folder


def once(path: Path, make: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The arrays in `path`, made and stored there unless an earlier attempt did."""
    if not path.is_file():
        save_arrays(path, make())
    return load_arrays(path)
