"""Capture folders: `transforms.json`, images, masks and a mesh, checked before any work starts."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch

from dnr.capture.stored_images import stored_size
from dnr.capture.undistort import Distortion
from dnr.errors import InputError
from dnr.geometry.camera_files import Frame, Split, read_frames
from dnr.geometry.cameras import Camera
from dnr.geometry.mesh_files import SUFFIXES, load_mesh
from dnr.geometry.meshes import Mesh
from dnr.geometry.unwrap import ensure_uvs

TEST_EVERY = 8
"""Without any `split` in the file, each eighth view by name is held out."""


class View(NamedTuple):
    """One posed photo."""

    name: str  # its path inside the capture folder
    image_path: Path
    mask_path: Path | None
    camera: Camera  # a batch of one: the pinhole after undistortion
    distortion: Distortion  # of the photo as stored
    split: Split


@dataclass(frozen=True)
class Capture:
    """Posed photos of an object and where its mesh is."""

    folder: Path
    views: list[View]  # in the order of the file
    mesh_path: Path
    notes: list[str]  # what was decided on the way, for the user to read


def load_capture(folder: Path, mesh_file: Path | None = None) -> Capture:
    """The capture in `folder`, everything checked that can be without decoding images."""
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder. Name a capture folder with transforms.json.")
    mesh_path = mesh_file or _mesh_in(folder)
    if not mesh_path.is_file():
        raise InputError(f"there is no mesh at {mesh_path}. Check the path.")
    views, notes = load_views(folder)
    return Capture(folder, views, mesh_path, notes)


def load_views(folder: Path) -> tuple[list[View], list[str]]:
    """The posed photos of `folder`, in the order of the file, with or without a mesh; and notes."""
    frames = read_frames(folder / "transforms.json")
    names = [_inside(folder, frame.file_path) for frame in frames]
    names = [name if Path(name).suffix else name + ".png" for name in names]  # as Blender sets do
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise InputError(f"transforms.json in {folder} lists {twice[0]} twice. Remove one of them.")
    _check_present(folder, names)
    views, turned = [], []
    splits, notes = _splits(folder, names, [frame.split for frame in frames])
    for name, frame, split in zip(names, frames, splits, strict=True):
        view, has_turn = _view(folder, name, frame, split)
        views.append(view)
        turned += [name] if has_turn else []
    if turned:
        notes.append(
            f"{len(turned)} photos ask to be shown turned (EXIF), the first is {turned[0]}; they "
            "are used as stored, because the cameras in transforms.json belong to that"
        )
    return views, notes


def load_capture_mesh(capture: Capture) -> tuple[Mesh, list[str]]:
    """The mesh of `capture`, seen by its cameras and with usable uvs; and notes on it."""
    mesh = load_mesh(capture.mesh_path)
    unseen = [view for view in capture.views if _missed(mesh, view.camera)]
    notes = []
    if len(unseen) == len(capture.views):
        behind = all(_missed(mesh, view.camera) == "behind the camera" for view in unseen)
        where = "behind every camera" if behind else "outside of every photo"
        raise InputError(
            f"the mesh {capture.mesh_path} lies {where} of {capture.folder}. "
            "Bring mesh and transforms.json into one frame (axes, scale, origin)."
        )
    if unseen:
        notes.append(f"{len(unseen)} photos do not show the mesh, the first is {unseen[0].name}")
    mesh, note = ensure_uvs(mesh)
    return mesh, notes + ([note] if note else [])


def _inside(folder: Path, file_path: str) -> str:
    """The path relative to `folder`, with forward slashes; it must not lead out of it."""
    if not file_path:
        raise InputError(f"a frame of {folder}/transforms.json has no file_path. Add it.")
    place = os.path.normpath(folder.absolute() / file_path.replace("\\", "/"))
    relative = os.path.relpath(place, os.path.normpath(folder.absolute()))
    if relative == "." or Path(relative).parts[0] == "..":
        raise InputError(
            f"transforms.json in {folder} points to {file_path}, which is outside of the folder. "
            "Move the file inside."
        )
    return Path(relative).as_posix()


def _check_present(folder: Path, names: list[str]) -> None:
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise InputError(
            f"{len(missing)} of the {len(names)} images that transforms.json in {folder} lists "
            f"are missing, the first is {missing[0]}. Restore them or remove their frames."
        )


def _splits(
    folder: Path, names: list[str], given: list[Split | None]
) -> tuple[list[Split], list[str]]:
    """What each view is for; and a note if that was not in the file."""
    if any(given):
        splits: list[Split] = [split or "train" for split in given]
        if "train" not in splits:
            raise InputError(
                f"transforms.json in {folder} marks every frame as test. Mark some as train."
            )
        return splits, []
    held_out = set(sorted(names)[::TEST_EVERY] if len(names) > 1 else [])
    note = f"no split is given: every {TEST_EVERY}th photo by name is held out ({len(held_out)})"
    return ["test" if name in held_out else "train" for name in names], [note]


def _view(folder: Path, name: str, frame: Frame, split: Split) -> tuple[View, bool]:
    """The view, and whether its photo asks for a turn."""
    image_path = folder / name
    size, has_turn = stored_size(image_path)
    stated = frame.lens.size
    if stated not in (None, size):
        raise InputError(
            f"{image_path} is {size[1]} x {size[0]} pixels, but transforms.json says "
            f"{stated[1]} x {stated[0]} (w x h). Use the photos that the cameras were made for."
        )
    mask_path = None
    if frame.mask_path is not None:
        mask_path = folder / _inside(folder, frame.mask_path)
        mask_size, _ = stored_size(mask_path)
        if mask_size != size:
            raise InputError(
                f"the mask {mask_path} is {mask_size[1]} x {mask_size[0]} pixels, but its photo is "
                f"{size[1]} x {size[0]}. Make them the same."
            )
    camera, distortion = frame.camera(size), frame.lens.distortion
    return View(name, image_path, mask_path, camera, distortion, split), has_turn


def _mesh_in(folder: Path) -> Path:
    found = [folder / f"mesh{suffix}" for suffix in SUFFIXES if (folder / f"mesh{suffix}").exists()]
    if not found:
        raise InputError(
            f"{folder} has no mesh.obj, mesh.ply or mesh.glb. Add one or name it with --mesh; "
            "`dnr capture` makes one from the photos."
        )
    return found[0]


def _missed(mesh: Mesh, camera: Camera) -> str | None:
    """Which side of the picture the whole mesh lies off, if it does."""
    local = camera.in_camera(mesh.vertices)[0]
    column, row, depth = (local @ camera.intrinsics[0].T).unbind(dim=1)  # times the depth
    height, width = camera.size
    if bool((depth <= 0).all()):
        return "behind the camera"
    sides = [column, width * depth - column, row, height * depth - row]
    return "off the picture" if any(bool(torch.all(side < 0)) for side in sides) else None
