"""`reenact.py`: one person's video or photo, moved by another video, written as it is made."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np

from avatars.film.mark import marked
from avatars.film.parts import Picture, claim_parts, forget_if_empty, parts_folder
from avatars.film.provenance import file_hash, provenance
from avatars.film.sound import sound_of
from avatars.film.write import Film, check_place, write_film
from avatars.reenact.actor import Actor
from avatars.reenact.actors import PHOTOS, find_actor, own_video
from avatars.reenact.options import ReenactOptions
from avatars.reenact.perform import acted, held_back, perform
from avatars.tracking.options import TrackOptions
from avatars.tracking.track_video import track_video
from avatars.transfer.driver import is_motion_file, load_motion, performance_of
from avatars.transfer.performance import Performance, save_performance
from dnr.device import choose_device
from dnr.errors import InputError
from dnr.footage import footage_frames, open_footage
from dnr.training.results import plain


def reenact(options: ReenactOptions) -> None:
    """Write the video that `options` ask for."""
    assert options.driving is not None
    check_place(options.out, options.resume, options.yes)
    actor, notes = find_actor(options, choose_device(options.device))
    driver_hash = _driver_hash(options.driving)
    identity = _identity(options, actor, driver_hash)
    done = claim_parts(options.out, identity, options.resume)
    with forget_if_empty(options.out):
        driver, lacking = _driver(options, options.driving)
        notes += lacking
        performance = acted(driver, actor, options.transfer)
        notes += _lost(driver) + held_back(driver, actor, options.transfer)
        if options.save_motion is not None:
            save_performance(options.save_motion, driver)
        sound, note = _sound(options)
        notes += [note] if note else []
        about = provenance(actor.origin, {"name": options.driving.name, "sha256": driver_hash})
        film = Film(options.out, driver.fps, about, sound, len(driver))
        notes += write_film(film, _pictures(options, actor, performance, done), done)
    for note in notes:
        print(note)
    print(f"video: {options.out}\nit says that it is synthetic, and so does {options.out}.json")


def _driver(options: ReenactOptions, driving: Path) -> tuple[Performance, list[str]]:
    """The driving motion, from a file or tracked in the driving video; and what it lacks."""
    if is_motion_file(driving):
        return load_motion(driving)
    if driving.suffix.lower() in PHOTOS:
        raise InputError(f"{driving} is a photo, and nothing in it moves. Give a driving video.")
    wanted = TrackOptions(face=options.face, refine=options.refine, report=False)
    place = parts_folder(options.out) / "track"
    return performance_of(track_video(driving, place, wanted, has_masks=False)), []


def _driver_hash(driving: Path) -> str:
    if not driving.is_file():
        raise InputError(f"there is no driving video {driving}. Check the path.")
    return file_hash(driving)


def _identity(options: ReenactOptions, actor: Actor, driver_hash: str) -> dict[str, object]:
    """What an interrupted film and its continuation must share."""
    free = ("out", "driving", "source", "resume", "yes", "save_motion", "device")
    values = {name: value for name, value in asdict(options).items() if name not in free}
    identity = {"actor": actor.origin["sha256"], "driver": driver_hash} | plain(values)
    return json.loads(json.dumps(identity))  # as a file gives it back: tuples become lists


def _lost(driver: Performance) -> list[str]:
    lost = int((~driver.found).sum())
    if not lost:
        return []
    return [f"in {lost} of {len(driver)} driving frames no face was found; they are bridged"]


def _sound(options: ReenactOptions) -> tuple[Path | None, str]:
    """Where the sound comes from, and a sentence if there is none."""
    if options.audio_file is not None:
        path, note = sound_of(options.audio_file)
        if path is None:
            raise InputError(f"{note} Give another --audio-file.")
        return path, ""
    if options.audio == "none":
        return None, ""
    if options.audio == "source":
        return sound_of(own_video(options.source))
    if options.driving is None or is_motion_file(options.driving):
        return None, "A motion file has no sound, so the film has none; give it with --audio-file."
    return sound_of(options.driving)


def _pictures(
    options: ReenactOptions, actor: Actor, performance: Performance, done: int
) -> Iterator[Picture]:
    made = perform(actor, performance, done)
    if options.side_by_side and options.driving is not None:
        made = _beside(options.driving, made, done)
    for picture in made:
        yield picture._replace(image=marked(picture.image)) if options.mark else picture


def _beside(driving: Path, made: Iterator[Picture], done: int) -> Iterator[Picture]:
    """The driver's frames on the left."""
    frames = footage_frames(open_footage(driving), start=done)
    for frame, picture in zip(frames, made, strict=False):
        height = picture.image.shape[0]
        width = max(round(frame.image.shape[1] * height / frame.image.shape[0]), 1)
        small = cv2.resize(frame.image, (width, height), interpolation=cv2.INTER_AREA)
        if picture.image.shape[2] == 4:
            small = np.dstack([small, np.full_like(small[..., 0], 255)])
        yield picture._replace(image=np.concatenate([small, picture.image], axis=1))
