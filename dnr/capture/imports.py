"""Cameras that another program has found: its project becomes a capture folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from dnr.capture.colmap_models import largest_model, read_model
from dnr.capture.folder import load_views
from dnr.capture.posed_photos import Pose, write_transforms
from dnr.capture.stored_images import stored_size
from dnr.errors import InputError
from dnr.files import written_whole
from dnr.geometry.camera_files import Frame, read_frames

IMAGE_FOLDERS = ("images", "image", "rgb")


def known_project(source: Path) -> bool:
    """Whether `source` holds cameras in a format that is understood."""
    if not source.is_dir():
        return False
    files = ("transforms.json", "transforms_train.json")
    return any((source / name).is_file() for name in files) or largest_model(source) is not None


def import_cameras(source: Path, out: Path) -> list[str]:
    """Write the photos and `transforms.json` of `out`; returns notes. The world's frame is kept."""
    if (source / "transforms.json").is_file():
        poses, root, notes = *_own_schema(source), []
    elif (source / "transforms_train.json").is_file():
        poses, root, notes = _blender(source), source, ["held-out views are those of the test file"]
    else:
        model = largest_model(source)
        assert model is not None, "known_project has found one"
        poses, root = read_model(model), _image_folder(source)
        notes = [f"cameras of the COLMAP model {model}"]
    _copy(root, out, [name for pose in poses for name in (pose.name, pose.mask) if name])
    write_transforms(out / "transforms.json", [_prefixed(pose) for pose in poses])
    return [*notes, f"{len(poses)} cameras imported"]


def _prefixed(pose: Pose) -> Pose:
    return pose._replace(mask=f"images/{pose.mask}" if pose.mask else None)


def _own_schema(source: Path) -> tuple[list[Pose], Path]:
    """nerfstudio and instant-ngp write what capture folders have."""
    frames = {view.name: view for view in load_views(source)[0]}
    poses = []
    for view in frames.values():
        lens = _lens(view.camera.intrinsics[0].tolist(), view.camera.size, view.distortion)
        mask = view.mask_path.relative_to(source).as_posix() if view.mask_path else None
        matrix = view.camera.world_to_camera[0].double().numpy()
        poses.append(Pose(view.name, _rigid(matrix), lens, view.split, mask))
    return poses, source


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
    return lens | dict(zip(("k1", "k2", "p1", "p2"), distortion, strict=True))


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
    with written_whole(out / "images") as beside:
        for name in names:
            (beside / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / name, beside / name)
