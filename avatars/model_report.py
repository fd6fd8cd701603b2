"""Which engines would run with the user's files, and what the others lack: for `dnr doctor`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from avatars.model_files import (
    DECA_WEIGHTS,
    ENGINES,
    EYE_MASK,
    FIXED_DISPLACEMENT,
    FLAME,
    FLAME_2020,
    LANDMARKS,
    MASKS,
    OPTIONAL,
    ROME_WEIGHTS,
    TEMPLATE,
    VGG19,
    ModelFile,
    choose_engine,
    find_file,
    missing_files,
    models_folder,
    need_file,
)
from dnr.errors import InputError


def report_models(given: Path | None = None) -> list[tuple[str, str]]:
    """Lines of subject and text. Every file that is there is opened and checked."""
    folder = models_folder(given)
    state = "" if folder.is_dir() else " (not there)"
    lines = [("models", f"licensed files are looked for in {folder}{state}; DNR_MODELS changes it")]
    sound = set(ENGINES)
    for wanted in dict.fromkeys([*(f for files in ENGINES.values() for f in files), *OPTIONAL]):
        path = find_file(wanted, folder)
        if path is None:
            continue
        trouble = _trouble(wanted, path)
        if trouble is not None:
            sound -= {engine for engine, files in ENGINES.items() if wanted in files}
        lines.append(("models", trouble or f"{wanted.what}: {path}, sha256 {_digest(path)}"))
    for engine, check in _engine_checks().items():
        try:
            if engine in sound and not missing_files(engine, folder):
                check(folder)
        except InputError as error:
            sound.discard(engine)
            lines.append(("models", str(error)))
    for engine in ENGINES:
        lines += _state(engine, folder, engine in sound)
    return [*lines, ("portraits", _portraits(folder, "ROME" in sound))]


def _portraits(folder: Path, is_sound: bool) -> str:
    """What `reenact.py` does with a photo when nobody asks for an engine."""
    engine, why = choose_engine("auto", folder, torch.cuda.is_available())
    if engine == "ROME" and not is_sound:
        return "reenact.py on a photo would stop at the file above; --engine built-in needs none"
    name = "the built-in engine, which needs no files" if engine == "built-in" else engine
    return f"reenact.py on a photo would use {name} ({why})"


def _state(engine: str, folder: Path, is_sound: bool) -> list[tuple[str, str]]:
    missing = missing_files(engine, folder)
    if not missing:
        return [(engine, "would run" if is_sound else "would not run: see the file above")]
    lines = [(engine, "would not run; it lacks")]
    for source in dict.fromkeys((file.source, file.licence) for file in missing):
        files = [file for file in missing if (file.source, file.licence) == source]
        names = ", ".join(" or ".join(file.names) for file in files)
        lines.append(("", f"  {names}: {source[0]} ({source[1]})"))
    return lines


def _trouble(wanted: ModelFile, path: Path) -> str | None:
    """Why the file cannot be used; None when it can, as far as we can tell."""
    check = _checks().get(wanted)
    if check is None:
        return None if path.stat().st_size else f"{path} is empty; get it again"
    try:
        check(path)
    except InputError as error:
        return str(error)
    return None


def _checks() -> dict[ModelFile, Callable[[Path], Any]]:
    # Imported here: the networks are not needed to know where files are.
    from avatars.deca.networks import load_deca
    from avatars.flame.files import load_flame
    from avatars.flame.landmarks import load_landmarks
    from avatars.flame.surface import load_masks
    from avatars.rome.networks import load_rome

    return {
        FLAME: load_flame,
        FLAME_2020: load_flame,
        LANDMARKS: load_landmarks,
        MASKS: load_masks,
        DECA_WEIGHTS: load_deca,
        ROME_WEIGHTS: load_rome,
        VGG19: _check_named_hash,
    }


def _engine_checks() -> dict[str, Callable[[Path], Any]]:
    """What opens the small files of an engine, which only make sense together."""
    from avatars.deca.detail import load_detail_space
    from avatars.flame.surface import load_template
    from avatars.rome.linear import load_linear_hair
    from avatars.rome.surface import load_rome_surface

    def detail(folder: Path) -> None:
        mask, fixed = need_file(EYE_MASK, folder), need_file(FIXED_DISPLACEMENT, folder)
        load_detail_space(load_template(need_file(TEMPLATE, folder)), mask, fixed)

    return {"DECA": detail, "ROME": load_rome_surface, "ROME, linear": load_linear_hair}


def _check_named_hash(path: Path) -> None:
    """Torchvision's files end in the first digits of their hash."""
    wanted = path.stem.rpartition("-")[2]
    if not _digest(path).startswith(wanted):
        raise InputError(
            f"{path} is damaged: its sha256 does not begin with {wanted}; get it again"
        )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
