"""`dnr capture`: a video, photos or another program's cameras become a whole capture folder.

Each stage leaves a file that is written whole, and a stage whose file is there is not repeated:
images/, transforms.json, cache/depths.npz, masks/ (if asked for), mesh.obj with report/. What was
found on the way stands in capture.json. Everything is in the frame and scale of the cameras given.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from dnr.capture.albums import SUFFIXES as PHOTO_SUFFIXES
from dnr.capture.albums import collect_photos, photos_in
from dnr.capture.folder import Capture, View, load_views
from dnr.capture.imports import import_cameras, known_project
from dnr.capture.object_masks import write_object_masks
from dnr.capture.photos import Photos, prepare_photos
from dnr.capture.pictures import draw_cameras, draw_depths, draw_surface
from dnr.capture.poisson import poisson_proxy
from dnr.capture.posed_photos import write_transforms
from dnr.capture.poses import register
from dnr.capture.proxy import ProxySource, fused_proxy
from dnr.capture.quality import measure
from dnr.capture.stereo import Depths, find_depths, load_depths, save_depths, stereo_height
from dnr.capture.video_frames import extract_frames
from dnr.errors import InputError
from dnr.files import read_json, write_json
from dnr.geometry.mesh_files import SUFFIXES, load_mesh, save_mesh
from dnr.geometry.meshes import Mesh
from dnr.geometry.unwrap import ensure_uvs
from dnr.progress import progress

FRAMES = 60
"""Taken out of a video, unless the user asks for another number."""
SOURCES: dict[str, ProxySource] = {"fused": fused_proxy, "poisson": poisson_proxy}


@dataclass(frozen=True)
class CaptureOptions:
    """What a user can ask of capturing."""

    frames: int = FRAMES
    """Frames taken out of a video; the sharpest, spread over its motion."""
    yes: bool = False
    """Go on when only a part of the photos could be placed, or the camera hardly moved."""
    object: bool = False
    """Keep only the thing in the middle: with the photos' masks or, without any, with new ones."""
    surface: Literal["fused", "poisson"] = "fused"
    """How depths become a surface; what cannot be fused falls back to poisson."""
    mesh: Path | None = None
    """A mesh in the frame of the project's cameras, to be used instead of making one."""


def captured(
    source: Path, out: Path, mesh: Path | None, yes: bool, isolate: bool = False
) -> tuple[Path, list[str]]:
    """A capture folder that can be trained on, and notes: `source` itself, or made from it.

    What is made stands beside the run folder `out`, so that further runs find it there.
    """
    posed = (source / "transforms.json").is_file()
    if posed and (mesh or _mesh_beside(source)):
        if isolate:
            raise InputError(
                f"--object is for captures that have no mesh yet, but {source} has one; leave it "
                "out, or move the mesh away."
            )
        return source, []
    if source.is_dir() and not posed and not photos_in(source) and not known_project(source):
        raise InputError(
            f"{source} is not a capture: it has no transforms.json, photos or other program's "
            "cameras. Name a video, a folder of photos or a capture folder."
        )
    beside = out.with_name(f"{out.name}-capture")
    try:
        settings = CaptureOptions(yes=yes, object=isolate, mesh=mesh)
        return beside, build_capture(source, beside, settings)
    except InputError as error:
        if not posed:
            raise
        raise InputError(
            f"{source} has no mesh.obj (name one with --mesh), and none could be made: {error}"
        ) from error


def mesh_is_made(capture: Path) -> bool:
    """Whether the capture's mesh was made from its photos, rather than given."""
    path = capture / "capture.json"
    return path.is_file() and "proxy" in read_json(path)


def build_capture(
    source: Path, out: Path, options: CaptureOptions, proxy_source: ProxySource | None = None
) -> list[str]:
    """Make, or finish, the capture folder `out`; returns what the user should know.

    The mesh comes from `proxy_source`, or from what `options.surface` names.
    """
    if options.frames < 8:
        raise InputError(f"--frames must be at least 8, got {options.frames}")
    record = _claim(source, out, options)
    if not (out / "transforms.json").is_file():
        if known_project(source):
            record["notes"] += import_cameras(source, out)
        else:
            _gather(source, out, options, record)
            _find_poses(out, options, record)
        write_json(out / "capture.json", record)
    own = options.mesh or _mesh_beside(source)
    if own is not None and not (out / "mesh.obj").is_file():
        save_mesh(out / "mesh.obj", ensure_uvs(load_mesh(own))[0])
        record["notes"].append(f"the mesh is {own.name}, as it was given")
        write_json(out / "capture.json", record)
    if not (out / "mesh.obj").is_file():
        _reconstruct(out, options, record, proxy_source or SOURCES[options.surface])
        write_json(out / "capture.json", record)
    return record["notes"]


def _mesh_beside(source: Path) -> Path | None:
    """The mesh that a project brings along."""
    found = [source / f"mesh{suffix}" for suffix in SUFFIXES]
    return next((path for path in found if path.is_file()), None)


def _claim(source: Path, out: Path, options: CaptureOptions) -> dict[str, Any]:
    """The record of the work so far; a new one in a folder where none has come to anything."""
    if not source.exists():
        raise InputError(f"there is no {source}. Name a video, a folder of photos or a project.")
    about = {"source": str(source.resolve()), "frames": options.frames, "object": options.object}
    about |= {"mesh": str(options.mesh.resolve())} if options.mesh else {}
    if (out / "capture.json").is_file():
        record = read_json(out / "capture.json")
        if {key: record.get(key, False) for key in about} == about:
            return record
        if (out / "images").exists():
            raise InputError(f"{out} holds another capture; remove it or choose another folder.")
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} is not empty; remove it or choose another folder.")
    record = about | {"notes": []}
    write_json(out / "capture.json", record)
    return record


def _gather(source: Path, out: Path, options: CaptureOptions, record: dict[str, Any]) -> None:
    """Photos into images/."""
    images = out / "images"
    if images.is_dir():
        return
    if source.is_file():
        if source.suffix.lower() in PHOTO_SUFFIXES:
            raise InputError(f"{source} is a single picture. Give a video or a folder of photos.")
        with progress(None, "choosing frames") as shown:
            record["notes"] += extract_frames(
                source, images, options.frames, shown.update, options.yes
            )
        record |= {"focal_px": None, "single_lens": True}
    else:
        with progress(len(photos_in(source)), "reading photos") as shown:
            album = collect_photos(source, images, None, shown.update)
        record |= {"focal_px": album.focal_px, "single_lens": album.single_lens}
    write_json(out / "capture.json", record)


def _find_poses(out: Path, options: CaptureOptions, record: dict[str, Any]) -> None:
    """Cameras into transforms.json, if they can be trusted; what was found is kept in any case."""
    found_file = out / "cameras.json"
    if not found_file.is_file():
        names = [path.name for path in photos_in(out / "images")]
        lens = record.get("focal_px"), record.get("single_lens", True)
        found = register(out / "images", names, out / "cache", *lens)
        record["poses"] = {
            "registered": len(found.poses),
            "photos": len(names),
            "reprojection_error_px": round(found.error_px, 3),
            "median_angle_deg": round(found.angle_deg, 2),
            "turned_share": round(found.turned_share, 3),
            "seen_points": round(found.seen_points, 1),
            "pieces": found.pieces,
            "left_out": found.left_out,
            "problem": found.problem(),
            "notes": found.notes(),
        }
        write_json(out / "capture.json", record)
        write_transforms(found_file, found.poses)
    problem = record["poses"]["problem"]
    if problem and not options.yes:
        raise InputError(f"{problem} Or use what there is with --yes.")
    record["notes"] += [*([problem] if problem else []), *record["poses"]["notes"]]
    found_file.rename(out / "transforms.json")


def _reconstruct(
    out: Path, options: CaptureOptions, record: dict[str, Any], source: ProxySource
) -> None:
    """Depths into cache/, masks into masks/, the proxy into mesh.obj, pictures into report/."""
    photos, views = _prepared(out)
    stored = out / "cache" / "depths.npz"
    if not stored.is_file():
        depths = find_depths(photos.of("train"))
        draw_cameras(out / "report", photos.of("train"), depths)
        draw_depths(out / "report", photos.of("train"), depths)
        save_depths(stored, depths)
    depths = load_depths(stored, photos.of("train"))
    if options.object and not any(view.outside.any() for view in depths.views):
        everything = _surface(photos.of("train"), depths, record, source)
        shown = write_object_masks(out, everything, photos, views)
        record["notes"].append(f"the object was cut out of {shown} of {len(views)} photos")
        photos, views = _prepared(out)
        depths = load_depths(stored, photos.of("train"))
    mesh = _surface(photos.of("train"), depths, record, source)
    record["proxy"] = measure(mesh, depths, photos)
    draw_surface(out / "report", mesh, photos.of("train"))
    save_mesh(out / "mesh.obj", mesh)
    shutil.rmtree(out / "cache")
    for left_over in out.rglob(".*.part*"):  # of an earlier attempt that was killed while writing
        left_over.unlink()


def _prepared(out: Path) -> tuple[Photos, list[View]]:
    """The photos of the capture as stereo wants them, and their places in it."""
    views, notes = load_views(out)
    height = stereo_height([view.camera.size for view in views])
    capture = Capture(out, views, out / "mesh.obj", notes)
    return prepare_photos(capture, out / "cache", height), views


def _surface(photos: Photos, depths: Depths, record: dict[str, Any], source: ProxySource) -> Mesh:
    """The proxy; where fusing fails, Poisson's, with a note."""
    try:
        return source(photos, depths)
    except InputError as error:
        if source is not fused_proxy:
            raise
        mesh = poisson_proxy(photos, depths)
        record["notes"].append(f"a Poisson surface was made instead of a fused one: {error}")
        return mesh
