"""Cameras that another program has found: its project becomes a capture folder."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from dnr.capture.colmap_models import largest_model, read_model
from dnr.capture.folder import load_views
from dnr.capture.metashape import metashape_file, read_metashape
from dnr.capture.phone_scans import polycam_cameras, read_polycam, read_record3d
from dnr.capture.posed_photos import Pose, write_transforms
from dnr.capture.reality_capture import read_reality_capture, reality_capture_file
from dnr.capture.stored_images import stored_size
from dnr.errors import InputError
from dnr.files import read_json, written_whole
from dnr.geometry.camera_files import DISTORTION_KEYS, MOST_BYTES, Frame, read_frames

IMAGE_FOLDERS = ("images", "image", "rgb")


def known_project(source: Path) -> bool:
    """Whether `source` holds cameras in a format that is understood."""
    if not source.is_dir():
        return False
    files = ("transforms.json", "transforms_train.json", "metadata")
    if any((source / name).is_file() for name in files) or polycam_cameras(source):
        return True
    exported = metashape_file(source) or reality_capture_file(source)
    return exported is not None or largest_model(source) is not None


def import_cameras(source: Path, out: Path) -> list[str]:
    """Write the photos and `transforms.json` of `out`; returns notes. The world's frame is kept."""
    poses, root, notes = _read(source)
    _copy(root, out, [name for pose in poses for name in (pose.name, pose.mask) if name])
    kept = _frame_of(source / "transforms.json")
    if "applied_transform" in kept:
        notes.append(
            "the frame is transforms.json's, which nerfstudio has turned (applied_transform): "
            "a mesh in the frame of the original project must be turned alike"
        )
    write_transforms(out / "transforms.json", [_placed(pose) for pose in poses], kept=kept)
    return [*notes, f"{len(poses)} cameras imported"]


def _frame_of(path: Path) -> dict[str, Any]:
    """How the file's frame stands to that of the project that it was made from."""
    document = read_json(path, MOST_BYTES) if path.is_file() else {}
    return {key: document[key] for key in ("applied_transform", "applied_scale") if key in document}


def _read(source: Path) -> tuple[list[Pose], Path, list[str]]:
    """The cameras, the folder that their names start from, and notes."""
    if (source / "transforms.json").is_file():
        return _own_schema(source), source, []
    if (source / "transforms_train.json").is_file():
        return _blender(source), source, ["held-out views are those of transforms_test.json"]
    if polycam_cameras(source):
        return read_polycam(source), source, ["cameras of Polycam"]
    if (source / "metadata").is_file():
        return read_record3d(source), source, ["cameras of Record3D"]
    if exported := metashape_file(source):
        poses, root = read_metashape(exported), _image_folder(source)
        return _with_suffixes(poses, root), root, ["cameras of Metashape"]
    if exported := reality_capture_file(source):
        root = _image_folder(source)
        return read_reality_capture(exported, root), root, [f"cameras of {exported.name}"]
    model = largest_model(source)
    if model is None:
        raise InputError(f"{source} holds no cameras in a format that is understood.")
    return read_model(model), _image_folder(source), [f"cameras of the COLMAP model {model}"]


def _with_suffixes(poses: list[Pose], root: Path) -> list[Pose]:
    """Labels may lack the suffix of the photo's file."""
    files = {path.stem: path.name for path in root.iterdir() if path.is_file()}
    present = {name for name in files.values()}
    return [
        pose if pose.name in present else pose._replace(name=files.get(pose.name, pose.name))
        for pose in poses
    ]


def _placed(pose: Pose) -> Pose:
    """The pose with the names that `_copy` gives; that of the mask is relative to the capture."""
    mask = f"images/{_short(pose.mask)}" if pose.mask else None
    return pose._replace(name=_short(pose.name), mask=mask)


def _short(name: str) -> str:
    return name.removeprefix("images/")


def _own_schema(source: Path) -> list[Pose]:
    """nerfstudio and instant-ngp write what capture folders have."""
    poses = []
    for view in load_views(source)[0]:
        lens = _lens(view.camera.intrinsics[0].tolist(), view.camera.size, view.distortion)
        mask = view.mask_path.relative_to(source).as_posix() if view.mask_path else None
        matrix = view.camera.world_to_camera[0].double().numpy()
        poses.append(Pose(view.name, _rigid(matrix), lens, view.split, mask))
    return poses


def _blender(source: Path) -> list[Pose]:
    """One file for each split; names have no suffix, and alpha is the mask."""
    poses = []
    for split in ("train", "test"):
        path = source / f"transforms_{split}.json"
        for frame in read_frames(path) if path.is_file() else []:
            poses.append(_from_frame(source, frame)._replace(split=split))
    return poses


def _from_frame(source: Path, frame: Frame) -> Pose:
    name = Path(frame.file_path).as_posix()
    name = name if Path(name).suffix else name + ".png"
    size, _ = stored_size(source / name)
    lens = _lens(frame.lens.intrinsics(size)[0].tolist(), size, frame.lens.distortion)
    return Pose(name, _rigid(frame.world_to_camera[0].double().numpy()), lens)


def _rigid(matrix: np.ndarray) -> np.ndarray:
    """What single precision has rounded, made a rotation again."""
    left, _, right = np.linalg.svd(matrix[:3, :3])
    exact = matrix.copy()
    exact[:3, :3] = left @ right
    return exact


def _lens(
    matrix: list[list[float]], size: tuple[int, int], distortion: tuple[float, ...]
) -> dict[str, float]:
    lens = {"w": size[1], "h": size[0], "fl_x": matrix[0][0], "fl_y": matrix[1][1]}
    lens |= {"cx": matrix[0][2], "cy": matrix[1][2]}
    return lens | dict(zip(DISTORTION_KEYS, distortion, strict=True))


def _image_folder(source: Path) -> Path:
    for name in IMAGE_FOLDERS:
        for place in (source, source.parent, source.parent.parent):
            if (place / name).is_dir():
                return place / name
    return source


def _copy(root: Path, out: Path, names: list[str]) -> None:
    """Photos and masks, in the folders they were in."""
    missing = [name for name in names if not (root / name).is_file()]
    if missing:
        raise InputError(
            f"{len(missing)} of {len(names)} images are not in {root}, the first is {missing[0]}. "
            "Put the photos where the cameras say."
        )
    outside = [name for name in names if ".." in Path(name).parts or Path(name).is_absolute()]
    if outside:
        raise InputError(f"{outside[0]} lies outside of {root}. Move it inside.")
    if len({_short(name) for name in names}) < len(set(names)):
        raise InputError(f"{root} has photos of one name in two folders. Rename them.")
    with written_whole(out / "images") as beside:
        for name in names:
            place = beside / _short(name)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / name, place)
