"""Edited runs on disk: the asset as edited, and beside it what was captured and what was done."""

from __future__ import annotations

import shutil
from hashlib import sha256
from pathlib import Path
from typing import Any

from PIL import Image

from dnr.asset import Asset
from dnr.clips import run_cameras
from dnr.editing.bake import STEPS, bake
from dnr.editing.operations import operation_fields
from dnr.editing.pictures import picture_path
from dnr.editing.recipe import load_recipe, save_recipe
from dnr.editing.session import Session
from dnr.errors import InputError
from dnr.files import new_folder, read_json, write_json, written_whole
from dnr.geometry.cameras import Camera
from dnr.progress import progress
from dnr.renderers.image import ImageRenderer
from dnr.training.evaluation import trained_on

EDITS = "edits"
"""Folder of an edited run: recipe.json, its pictures, labels, and captured/, the unedited run."""
RECIPE = "recipe.json"
CAPTURED = "captured"
RUN_FILES = ("asset.json", "mesh.npz", "weights.safetensors")
OWN_KEYS = ("format_version", "kind", "code_version", "config")
"""Of asset.json: what saving an asset writes by itself."""


def edit_run(
    run: Path,
    recipe: Path | None,
    out: Path,
    undo: int = 0,
    data: Path | None = None,  # the capture, if it is not where the run was trained
    bake_steps: int = STEPS,  # for renderers that look at images
) -> Session:
    """Write the run `out`: `run` with the operations of `recipe` after those it has already.

    The last `undo` of the latter are left out. Everything is done on the captured asset, in order.
    Nothing is written unless all of it succeeds.
    """
    base = captured_run(run)
    asset = Asset.load(base)
    with new_folder(out) as beside:
        edits = beside / EDITS
        session = replayed(asset, run_cameras(base), run, recipe, undo, edits)
        if bake_steps and isinstance(asset.renderer, ImageRenderer):
            _bake(session, base, data, bake_steps)
        _write(session, base, beside)
    return session


def captured_run(run: Path) -> Path:
    """Where the unedited run lies: `run` itself if nobody has edited it."""
    inside = run / EDITS / CAPTURED
    return inside if inside.is_dir() else run


def replayed(
    asset: Asset,  # as captured
    cameras: dict[str, Camera],
    run: Path,
    recipe: Path | None,
    undo: int,
    edits: Path,  # folder to make
) -> Session:
    """The operations that `run` has, but for the last `undo`, and those of `recipe`, done.

    Recipe and pictures are written to `edits`.
    """
    earlier = run / EDITS / RECIPE
    done = load_recipe(earlier, asset.mesh) if earlier.is_file() else []
    if undo > len(done):
        raise InputError(f"{run} has {len(done)} operations to undo, not {undo}")
    done = done[: len(done) - undo]
    added = [] if recipe is None else load_recipe(recipe, asset.mesh)
    (edits / "pictures").mkdir(parents=True)
    session = Session(asset, cameras, edits)
    for folder, operations in ((run / EDITS, done), (recipe, added)):
        for operation in operations:
            assert folder is not None
            source = folder if folder.is_dir() else folder.parent
            number = len(session.operations) + 1
            session.apply(with_own_pictures(operation, number, source, edits))
    save_recipe(edits / RECIPE, session.operations, asset.mesh)
    return session


def _bake(session: Session, base: Path, data: Path | None, steps: int) -> None:
    """Let the texels learn what the operations have painted."""
    source, height = trained_on(base)
    source = data or source
    if not (source / "transforms.json").is_file():
        raise InputError(
            f"this run's renderer looks at images, so paint must be baked with the photos, and "
            f"{source} is not there; name the capture by --data, or give --bake 0 to leave it"
        )
    with progress(steps, "baking") as shown:
        bake(session.canvas, source, height, steps, shown.update)


def with_own_pictures(
    operation: dict[str, Any], number: int, source: Path, edits: Path
) -> dict[str, Any]:
    """The operation with its picture copied from beside the recipe into the run."""
    if "image" not in operation:
        return operation
    path = picture_path(source, operation_fields(operation, number))
    fields = operation_fields(operation, number)
    if not path.is_file():
        fields.refuse(f"the image {path} is missing; put it beside the recipe")
    data = path.read_bytes()
    name = f"pictures/{sha256(data).hexdigest()[:16]}{path.suffix.lower()}"
    (edits / name).write_bytes(data)
    return operation | {"image": name}


def _write(session: Session, base: Path, out: Path) -> None:
    """Fill the folder of an edited run; its asset.json, written last, makes it complete."""
    edits, canvas = out / EDITS, session.canvas
    (edits / CAPTURED).mkdir()
    for name in RUN_FILES:
        shutil.copyfile(base / name, edits / CAPTURED / name)
    if canvas.labels:
        with written_whole(edits / "labels.png") as beside:
            Image.fromarray(canvas.atlas.image(canvas.label)).save(beside)
        write_json(edits / "labels.json", canvas.labels)
    about = {
        key: value for key, value in read_json(base / "asset.json").items() if key not in OWN_KEYS
    }
    session.asset.save(out, about | {"edits": len(session.operations)})
