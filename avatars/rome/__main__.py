"""`python -m avatars.rome prepare|train`: train ROME on your own videos; torchrun works too."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import torch
import tyro
from tyro.conf import Positional

from avatars import model_files as files
from avatars.detectors.mediapipe import mediapipe_detector, mediapipe_masker
from avatars.rome.avatar import RomeModel, load_frozen_parts, load_rome_model
from avatars.rome.clips import load_clips, prepare_clip
from avatars.rome.networks import Rome
from avatars.rome.perceptual import load_perceptual
from avatars.rome.training import RomeOptions, train_rome
from avatars.training.consent import ask_consent
from dnr.commands import run_command
from dnr.device import choose_device
from dnr.errors import InputError


def prepare(videos: Positional[list[Path]], out: Path, models: Path | None = None) -> None:
    """Turn videos of faces into clips for training.

    Args:
        videos: Files, one person in each.
        out: Folder that gets one folder for each video.
        models: Folder with your DECA, FLAME and ROME data files.
    """
    model = load_frozen_parts(files.models_folder(models), Rome(1))
    for video in videos:
        place = out / video.stem
        count = prepare_clip(model, video, place, mediapipe_detector(), mediapipe_masker())
        print(f"{place}: {count} frames")


def train(
    clips: Positional[Path],
    out: Path,
    options: Annotated[RomeOptions, tyro.conf.arg(name="")],
    models: Path | None = None,
    fine_tune: bool = False,
    resume: bool = False,
    yes: bool = False,
) -> None:
    """Train, and write rome.pth and a checkpoint.

    Args:
        clips: Folder that `prepare` filled.
        out: Folder to write.
        options: The run.
        models: Folder with your DECA, FLAME and ROME data files, and perhaps vgg19-dcbb9e9d.pth.
        fine_tune: Start from your rome.pth instead of random numbers.
        resume: Go on from the checkpoint in `out`.
        yes: Everybody in the clips agreed to be made into avatars.
    """
    folder, device = files.models_folder(models), choose_device("auto")
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))  # from torchrun
    if (out / "checkpoint.safetensors").exists() and not resume:
        raise InputError(f"{out} has a run already; continue it with --resume or choose another")
    ask_consent(yes)
    torch.manual_seed(options.seed)
    model = load_rome_model(folder) if fine_tune else load_frozen_parts(folder, Rome())
    model = RomeModel(model.rome.train(), model.deca, model.flame, model.surface).to(device)
    path = files.find_file(files.VGG19, folder)
    perceptual = None if path is None else load_perceptual(path).to(device)
    if perceptual is None:
        print("no vgg19-dcbb9e9d.pth among your files: trained without the perceptual loss")
    out.mkdir(parents=True, exist_ok=True)
    train_rome(model, load_clips(clips), out, options, resume, perceptual)
    print(f"weights: {out / 'rome.pth'}")


if __name__ == "__main__":
    run_command(
        lambda: tyro.extras.subcommand_cli_from_dict(
            {"prepare": prepare, "train": train}, prog="python -m avatars.rome"
        )
    )
