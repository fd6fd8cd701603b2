"""Which engines would run with the user's files, and what the others lack: for `dnr doctor`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from avatars.model_files import (
    DECA_WEIGHTS,
    ENGINES,
    EYE_MASK,
    FIXED_DISPLACEMENT,
    FLAME,
    FLAME_2020,
    LANDMARKS,
    MASKS,
    ROME_WEIGHTS,
    TEMPLATE,
    ModelFile,
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
    for wanted in dict.fromkeys(file for files in ENGINES.values() for file in files):
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
    whole = "ROME" in sound and not missing_files("ROME", folder)
    engine = "ROME or the built-in engine" if whole else "the built-in engine, which needs no files"
    return [*lines, ("portraits", f"reenact.py on a photo would use {engine}")]


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
    # Imported here: torch and the networks are not needed to know where files are.
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


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
