"""The `dnr` command. torch is imported where work starts, so that --help does not wait for it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import tyro
from tyro.conf import Positional, arg, subcommand

from avatars.formats.options import ConvertOptions
from avatars.tracking.options import TrackOptions
from dnr.commands import run_command
from dnr.errors import InputError


@dataclass(frozen=True)
class Render:
    """Render new views of a trained asset as a video or as a folder of images."""

    run: Positional[Path]
    """Run folder, as train.py writes it."""
    out: Path
    """Video (.mp4) or, without a suffix, a folder for PNG images."""
    path: str = "orbit"
    """Where the camera goes: orbit, train, test, or a camera path in a JSON file."""
    frames: int | None = None
    """Number of images; by default 120 around an orbit, and of other paths each view once."""
    size: int | None = None
    """Height in pixels; by default that of the photos or of the camera path."""
    fps: float = 30
    """Images per second of the video."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute; auto takes CUDA where there is one."""

    def __post_init__(self) -> None:
        for name, least, most in (("frames", 1, 100_000), ("size", 16, 8192), ("fps", 1, 240)):
            value = getattr(self, name)
            if value is not None and not least <= value <= most:
                raise InputError(f"--{name} must be {least} to {most}, got {value}")


@dataclass(frozen=True)
class Evaluate:
    """Compare a trained asset with photos it has not seen, and print the numbers as JSON."""

    run: Positional[Path]
    """Run folder, as train.py writes it."""
    data: Path | None = None
    """Capture folder with the photos, or for an avatar a video, its own or one to drive it; by
    default what the asset was trained on."""
    split: Literal["test", "train"] = "test"
    """Which of the capture's views to compare with."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute; auto takes CUDA where there is one."""


@dataclass(frozen=True)
class Edit:
    """Paint, clone, remove and move things as a recipe says; the captured run stays as it is."""

    run: Positional[Path]
    """Run folder, as train.py or an earlier edit wrote it."""
    out: Path
    """Run folder to write."""
    recipe: Positional[Path | None] = None
    """JSON list of operations; its pictures lie beside it. See dnr/editing/README.md."""
    undo: int = 0
    """Leave out so many of the last operations that the run has already."""
    data: Path | None = None
    """Capture folder with the photos, for presets unet and paper; by default where it was."""
    bake: int = 40
    """Steps in which the texels of presets unet and paper learn what was painted; 0 for none."""

    def __post_init__(self) -> None:
        if not 0 <= self.bake <= 10_000:
            raise InputError(f"--bake must be 0 to 10000, got {self.bake}")
        if self.undo < 0 or (self.recipe is None and not self.undo):
            raise InputError("name a recipe to carry out, or give --undo 1 to take one step back")


@dataclass(frozen=True)
class MakeCapture:
    """Turn a video, photos or another program's cameras into a capture folder with a mesh."""

    source: Positional[Path]
    """Video, folder of photos, or another program's project: COLMAP, nerfstudio, Blender, Polycam,
    Record3D, Metashape, RealityCapture."""
    out: Path
    """Capture folder to write, or to finish if an earlier attempt was stopped."""
    frames: int = 60
    """Frames taken out of a video; the sharpest, spread over its motion."""
    check: bool = False
    """Print a table of how well each step went."""
    yes: bool = False
    """Go on when only a part of the photos could be placed, or the camera hardly moved."""
    object: bool = False
    """Keep only the thing in the middle: with the photos' masks or, without any, with new ones."""
    surface: Literal["fused", "poisson"] = "fused"
    """How depths become a surface; what cannot be fused falls back to poisson."""
    mesh: Path | None = None
    """A mesh in the frame of the project's cameras, to be used instead of making one."""


@dataclass(frozen=True)
class FollowHead:
    """Follow a head through a video: who it is, where it is, and what the face does."""

    video: Positional[Path]
    """A video in which a face is seen."""
    out: Path
    """Folder to write; an attempt that was stopped goes on where it was."""
    options: Annotated[TrackOptions, arg(name="")] = field(default_factory=TrackOptions)


@dataclass(frozen=True)
class Doctor:
    """Say what this machine has, what would be used, and what is missing."""

    models: Path | None = None
    """Folder with licensed files of yours, FLAME, DECA or ROME; by default DNR_MODELS."""


@dataclass(frozen=True)
class Demo:
    """Train on a scene made on the spot, render a turntable, and say where everything is."""

    out: Path = Path("runs/demo")
    """Run folder to write; the photos of the scene go beside it."""


Command = (
    Annotated[Render, subcommand("render")]
    | Annotated[Evaluate, subcommand("eval")]
    | Annotated[Edit, subcommand("edit")]
    | Annotated[MakeCapture, subcommand("capture")]
    | Annotated[FollowHead, subcommand("track")]
    | Annotated[ConvertOptions, subcommand("convert")]
    | Annotated[Doctor, subcommand("doctor")]
    | Annotated[Demo, subcommand("demo")]
)


def main() -> NoReturn:
    """The `dnr` command."""
    run_command(_run_dnr)


def _run_dnr() -> None:
    command = tyro.cli(Command, prog="dnr", description="Neural assets: render, evaluate, try.")
    match command:
        case Render():
            render(command)
        case Evaluate():
            evaluate(command)
        case Edit():
            edit(command)
        case MakeCapture():
            capture(command)
        case FollowHead():
            follow_head(command)
        case ConvertOptions():
            from avatars.formats.convert import convert

            print(convert(command))
        case Doctor():
            doctor(command)
        case Demo():
            from dnr.demo import demo

            demo(command.out)


def render(options: Render) -> None:
    """Write the video or folder that `options` ask for."""
    from dnr.asset import Asset
    from dnr.clips import path_cameras, render_frames
    from dnr.device import choose_device
    from dnr.video import write_clip

    asset = Asset.load(options.run, choose_device(options.device))
    cameras = path_cameras(options.path, options.run, options.frames, options.size)
    write_clip(options.out, render_frames(asset, cameras), options.fps)
    print(f"wrote {options.out}: {len(cameras)} frames of {cameras.size[1]} x {cameras.size[0]}")


def evaluate(options: Evaluate) -> None:
    """Print the asset's scores as JSON."""
    from avatars.avatar.files import is_avatar
    from dnr.asset import Asset
    from dnr.device import choose_device
    from dnr.training.evaluation import evaluate_asset

    if is_avatar(options.run):
        from avatars.training.evaluation import evaluate_avatar

        device = choose_device(options.device)
        scores = evaluate_avatar(options.run, options.data, options.split, device)
        print(json.dumps(scores, indent=2))
        return

    asset = Asset.load(options.run, choose_device(options.device))
    scores = evaluate_asset(options.run, asset, options.data, options.split)
    print(json.dumps(scores, indent=2))


def edit(options: Edit) -> None:
    """Write the edited run."""
    from avatars.avatar.edit import edit_avatar
    from avatars.avatar.files import is_avatar
    from dnr.editing.runs import edit_run

    run, recipe, out, undo = options.run, options.recipe, options.out, options.undo
    if is_avatar(run):
        session = edit_avatar(run, recipe, out, undo)
    else:
        session = edit_run(run, recipe, out, undo, options.data, options.bake)
    print(f"wrote {out}: {len(session.operations)} operations on what was captured")


def capture(options: MakeCapture) -> None:
    """Make or finish the capture folder, and say how it went."""
    from dnr.capture.build import CaptureOptions, build_capture
    from dnr.capture.quality import quality_table

    settings = CaptureOptions(
        options.frames, options.yes, options.object, options.surface, options.mesh
    )
    for note in build_capture(options.source, options.out, settings):
        print(note)
    for row in quality_table(options.out) if options.check else []:
        print(f"{row.what:<28}{row.measured:<14}{row.verdict:<10}{row.meaning}")
    print(f"capture: {options.out}\npictures: {options.out / 'report'}")


def follow_head(command: FollowHead) -> None:
    """Track the head, and say how that went."""
    from avatars.tracking.summary import summary
    from avatars.tracking.track_video import track_video

    track = track_video(command.video, command.out, command.options)
    for line in summary(track):
        print(line)
    print(f"track: {command.out}")


def doctor(options: Doctor) -> None:
    """Print what the machine has; fail with the first thing that must be mended."""
    from dnr.doctor import examine

    findings = examine(Path.cwd(), options.models)
    for finding in findings:
        print(f"{finding.subject:<14}{finding.text}")
    problems = [finding.text for finding in findings if finding.is_problem]
    if problems:
        raise InputError(problems[0])
    print("everything that training and rendering need works")
