"""`dnr convert`: from one tracker's files to another's, by way of FLAME's codes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from avatars import model_files as files
from avatars.flame.kit import FlameKit, load_kit
from avatars.flame.surface import load_template
from avatars.formats.cap4d import read_cap4d, write_cap4d
from avatars.formats.flame_track import (
    FlameTrack,
    about_origin,
    camera_at_rest,
    head_at_rest,
    track_vertices,
)
from avatars.formats.head_tracks import to_flame_track, to_head_track
from avatars.formats.imavatar import read_imavatar, write_imavatar
from avatars.formats.insta import write_insta
from avatars.formats.metrical import read_metrical, write_metrical
from avatars.formats.nha import read_nha, write_nha
from avatars.formats.options import ConvertOptions
from avatars.formats.vhap import read_vhap, read_vhap_tracking, write_vhap
from avatars.tracking.crops import back
from avatars.tracking.pictures import mask_path, read_mask
from avatars.tracking.track import TRACK, Track, load_track, save_track
from dnr.array_files import load_arrays
from dnr.errors import InputError
from dnr.files import new_folder
from dnr.footage import footage_frames, open_footage
from dnr.images import write_png
from dnr.words import counted

Finish = Callable[[Path], object]


def convert(options: ConvertOptions) -> str:
    """Write what `options` ask for; the answer says what it is."""
    kit = load_kit(files.models_folder(options.models))
    own = load_track(options.source) if (options.source / TRACK).is_file() else None
    track = to_flame_track(kit, own) if own is not None else read_any(options.source)
    if options.to == "track":
        if own is not None:
            raise InputError(f"{options.source} is a head track already; say --to which layout")
        with new_folder(options.out) as beside:
            save_track(beside, to_head_track(kit, track, options.fps))
    else:
        pictures = _pictures(options, track, own)
        _write(options, kit, track, pictures)
    return f"wrote {options.out}: {counted(len(track), 'frame')}"


def read_any(source: Path) -> FlameTrack:
    """The track in a folder or file of any known layout."""
    if source.is_dir():
        if (source / "checkpoint").is_dir():
            return read_metrical(source)
        if (source / "transforms.json").is_file() and (source / "flame_param").is_dir():
            return read_vhap(source)
        raise InputError(
            f"{source} is no known track: it has neither {TRACK}, flame_param nor checkpoint"
        )
    if source.suffix == ".json":
        return read_imavatar(source)
    if source.suffix == ".npz":
        names = load_arrays(source).keys()
        for mark, read in (("extr", read_cap4d), ("RT", read_nha), ("focal_length", _tracking)):
            if mark in names:
                return read(source)
    raise InputError(f"{source} is no known track; give a folder, a .json or an .npz of one")


def _tracking(source: Path) -> FlameTrack:
    return read_vhap_tracking(source)


def _write(options: ConvertOptions, kit: FlameKit, track: FlameTrack, pictures: Finish) -> None:
    out, flame = options.out, kit.flame
    match options.to:
        case "vhap":
            write_vhap(out, camera_at_rest(flame, track), pictures)
        case "insta":
            template = load_template(
                files.need_file(files.TEMPLATE, files.models_folder(options.models))
            )
            write_insta(out, head_at_rest(flame, track), flame, template, pictures)
        case "metrical":
            write_metrical(out, head_at_rest(flame, track), pictures)
        case "nha":
            write_nha(out, camera_at_rest(flame, track))
        case "cap4d":
            write_cap4d(out, about_origin(flame, camera_at_rest(flame, track)), options.fps)
        case "imavatar":
            still = camera_at_rest(flame, track)
            points = kit.pairing.points.on(track_vertices(flame, still), flame.faces)
            write_imavatar(out, still, still.camera.project(points)[..., :2])


def _pictures(options: ConvertOptions, track: FlameTrack, own: Track | None) -> Finish:
    """Writes the clip's frames where the layout has them, and masks where the track has some."""
    if options.video is None:
        return lambda folder: None
    footage = open_footage(options.video)
    if footage.size != track.camera.size:
        raise InputError(
            f"{options.video} has frames of {footage.size[1]} x {footage.size[0]}, the track is of "
            f"{track.camera.size[1]} x {track.camera.size[0]}; give the clip that was tracked"
        )
    place = {"vhap": "images", "insta": "images", "metrical": "input"}[options.to]

    def write(folder: Path) -> None:
        number = -1
        for number, frame in enumerate(footage_frames(footage)):
            if number >= len(track):
                break
            name = f"{Path(track.images[number]).stem}.png"
            (folder / place).mkdir(exist_ok=True)
            write_png(folder / place / name, frame.image)
            if own is not None and options.to == "vhap" and mask_path(options.source, 0).is_file():
                (folder / "fg_masks").mkdir(exist_ok=True)
                levels = _full_mask(options.source, own, number)
                write_png(folder / "fg_masks" / name, np.dstack([levels] * 3))
        if number + 1 < len(track):
            raise InputError(
                f"{options.video} has {counted(number + 1, 'frame')} for {len(track)} of a track"
            )

    return write


def _full_mask(folder: Path, track: Track, number: int) -> np.ndarray:  # uint8 [H, W]
    """The person's mask in the frame's own pixels."""
    height, width = track.size
    matrix = back(track.crop[number].numpy()).copy()
    matrix[:, 2] += matrix[:, :2] @ [0.5, 0.5] - 0.5  # OpenCV has pixel centres at whole numbers
    return cv2.warpAffine(read_mask(folder, number), matrix, (width, height))
