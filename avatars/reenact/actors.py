"""Which actor a SOURCE is: a run folder of an avatar, or a portrait."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from avatars.film.provenance import file_hash
from avatars.model_files import choose_engine, models_folder
from avatars.oneshot.actor import portrait_actor
from avatars.reenact.actor import Actor
from avatars.reenact.avatar_actor import avatar_actor
from avatars.reenact.backdrop import CAPTURED
from avatars.reenact.options import ReenactOptions
from avatars.rome.actor import rome_actor
from dnr.errors import InputError
from dnr.files import read_json

PHOTOS = {".jpg", ".jpeg", ".jfif", ".png", ".apng", ".gif", ".webp", ".bmp", ".tif", ".tiff"}


def find_actor(options: ReenactOptions, device: torch.device) -> tuple[Actor, list[str]]:
    """The actor that the command line names, and sentences about what is worth knowing."""
    source = options.source
    if source.is_dir():
        return avatar_actor(source, device, options.background), []
    if not source.exists():
        raise InputError(f"there is no avatar or portrait {source}. Check the path.")
    if source.suffix.lower() in PHOTOS:
        if options.background != CAPTURED:
            raise InputError("--background is for avatars; a portrait keeps what is in the photo")
        return _photo_actor(options, device)
    raise InputError(
        f"{source} is neither the run folder of an avatar nor a photo. To animate the person in a "
        "video, first train an avatar: python train.py VIDEO --kind avatar --out RUN"
    )


def _photo_actor(options: ReenactOptions, device: torch.device) -> tuple[Actor, list[str]]:
    folder = models_folder(options.models)
    engine, why = choose_engine(options.engine, folder, device.type == "cuda")
    if engine == "built-in":
        _say(f"engine: built-in, which needs no files ({why})")
        return portrait_actor(options.source, options.portrait_face)
    _say(f"engine: {engine}, with the files in {folder} ({why})")
    linear = engine == "ROME, linear"
    return rome_actor(options.source, folder, device, options.portrait_face, linear)


def _say(sentence: str) -> None:
    """Before the work begins, and out of the way of results."""
    print(sentence, file=sys.stderr)


def own_video(run: Path) -> Path:
    """The video that an avatar was trained on, if it still lies where it was."""
    value = read_json(run / "asset.json") if run.is_dir() else {}
    training, source = value.get("training"), value.get("source")
    path = Path(str(training.get("source"))) if isinstance(training, dict) else Path()
    wanted = source.get("sha256") if isinstance(source, dict) else None
    if not path.is_file() or file_hash(path) != wanted:
        raise InputError(
            f"the video that {run} was made from is not where it was; give its sound with "
            "--audio-file"
        )
    return path
