"""Training an avatar from the command line: video in, run folder out. Reads top to bottom."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch

from avatars.avatar.avatar import Avatar
from avatars.avatar.files import SavedAvatar, save_avatar
from avatars.film.provenance import file_hash
from avatars.training.consent import ask_consent
from avatars.training.options import STEPS, AvatarOptions
from avatars.training.prepare import TRACK, Prepared, avatar_config, prepare
from avatars.training.results import write_results
from avatars.training.scores import score_frames
from avatars.training.start import start_avatar
from avatars.training.state import AvatarState, averaged, new_state
from avatars.training.steps import step
from dnr import __version__
from dnr.device import choose_device
from dnr.errors import InputError
from dnr.files import read_json
from dnr.footage import open_footage
from dnr.images import write_png
from dnr.progress import progress
from dnr.training.checkpoints import load_checkpoint, save_checkpoint
from dnr.training.report import command_line
from dnr.training.results import plain
from dnr.training.stopping import asked_to_stop
from dnr.training.workspace import CHECKPOINT, check_out, claim, workspace

SAVE_EVERY_S = 60.0
LOOK_EVERY = 1.3
"""A held-out frame is looked at whenever the number of steps has grown by this factor."""
PROBE = 20
"""Steps after which a budget in minutes becomes a number of steps."""


def train_avatar(options: AvatarOptions) -> None:
    """Train as `options` say and leave a complete run folder."""
    device = choose_device(options.device)
    checkpoint, is_resumed = options.out / CHECKPOINT, options.resume
    if is_resumed and not checkpoint.is_file() and (options.out / "asset.json").is_file():
        # Stopped while the track was refined: there are no steps to go on from yet.
        options = replace(options, resume=False, yes=True)
    check_out(options)
    open_footage(options.source)  # not after the question: a wrong path is said at once
    about = _agreed(options.out) if is_resumed else ask_consent(options.yes)
    about |= _about(options)
    with workspace(options) as cache:
        at_once = None if options.resume else partial(_first_avatar, options, about)
        prepared = prepare(options, cache, at_once)
        avatar = _start(options, prepared)
        total = options.steps if options.steps is not None else STEPS
        budget = None if options.minutes is not None else total
        state = new_state(avatar.moved(device), options.losses, budget)
        identity = _identity(options, prepared)
        if options.resume:
            load_checkpoint(checkpoint, state, identity)
        else:
            claim(options.out)
            (cache / TRACK).rename(options.out / TRACK)

        def save() -> None:
            save_checkpoint(checkpoint, state, identity)
            with averaged(state) as shown:
                save_avatar(options.out, _saved(shown, prepared, about))

        save()  # the first avatar that can be driven, and a full disk shows now
        with asked_to_stop() as stop:
            _optimise(state, prepared, options, stop, save)
            save()
        with averaged(state) as shown:
            write_results(options, shown, prepared, state, about)


def _first_avatar(options: AvatarOptions, about: dict[str, Any], prepared: Prepared) -> None:
    """An avatar from landmarks alone, to be driven while the track is refined and training runs."""
    avatar = _start(options, prepared)
    claim(options.out)
    save_avatar(options.out, _saved(avatar, prepared, about))
    print(f"a first avatar is in {options.out} and can be driven; it gets better from here")


def _start(options: AvatarOptions, prepared: Prepared) -> Avatar:
    torch.manual_seed(options.seed)
    clip, plate = prepared.train, prepared.around.plate
    config = avatar_config(options, prepared)
    return start_avatar(config, prepared.head, clip, prepared.rest, plate, prepared.offsets)


def _optimise(
    state: AvatarState,
    prepared: Prepared,
    options: AvatarOptions,
    stop: Callable[[], bool],
    save: Callable[[], None],
) -> None:
    """Step until the budget is used up, showing progress, looking at held-out frames, saving."""
    limit_s = None if options.minutes is None else options.minutes * 60
    began, last_save = time.monotonic() - state.seconds, time.monotonic()
    first, look_at, loss = state.step, state.step, 0.0
    with progress(state.total, "training", start=state.step, limit_s=limit_s) as shown:
        while state.total is None or state.step < state.total:
            if stop():
                return
            if state.step >= look_at:
                _look(state, prepared, options, loss)
                look_at = max(int(state.step * LOOK_EVERY), state.step + 50)
            loss = step(state, prepared.train, options.seed)
            state.seconds = time.monotonic() - began
            if state.total is None and limit_s is not None and state.step - first >= PROBE:
                left = max(limit_s - state.seconds, 0)
                state.total = state.step + int(left * state.step / max(state.seconds, 1e-3))
                if options.steps is not None:
                    state.total = min(state.total, options.steps)
                shown.expect(state.total)
            shown.update(state.step, psnr=state.history[-1].get("psnr"), loss=loss)
            if time.monotonic() - last_save > SAVE_EVERY_S:
                save()
                last_save = time.monotonic()
        _look(state, prepared, options, loss)


def _look(state: AvatarState, prepared: Prepared, options: AvatarOptions, loss: float) -> None:
    """Render one frame: a preview on disk, and a row of the history."""
    clip = prepared.held_out or prepared.train
    with averaged(state) as avatar:
        scored = next(score_frames(avatar, clip.part(len(clip) // 2, len(clip) // 2 + 1)))
    row: dict[str, float] = {"step": state.step, "seconds": state.seconds}
    row |= {"loss": loss} if state.step else {}
    row["psnr"] = scored.numbers["psnr"]
    state.history.append(row)
    write_png(options.out / "preview.png", np.concatenate([scored.truth, scored.render], axis=1))


def _saved(avatar: Avatar, prepared: Prepared, about: dict[str, Any]) -> SavedAvatar:
    return SavedAvatar(avatar, prepared.rest, prepared.limits, prepared.around, about)


def _agreed(run: Path) -> dict[str, Any]:
    """What was said about consent when the run was begun."""
    path = run / "asset.json"
    consent = read_json(path).get("consent") if path.is_file() else None
    if not isinstance(consent, str):
        raise InputError(f"{path} does not say that the person agreed; start without --resume")
    return {"consent": consent}


def _about(options: AvatarOptions) -> dict[str, Any]:
    """What asset.json says about where the avatar comes from."""
    return {
        "source": {"name": options.source.name, "sha256": file_hash(options.source)},
        "training": plain(asdict(options)),
        "provenance": {"program": f"dnr {__version__}", "command": command_line()},
    }


def _identity(options: AvatarOptions, prepared: Prepared) -> dict[str, Any]:
    """What a checkpoint and the run that continues it must share."""
    digest = sha256()
    performance = prepared.train.performance
    for tensor in (performance.identity, performance.head_to_camera, *performance.motion):
        digest.update(tensor.numpy().tobytes())
    fixed = ("preset", "steps", "minutes", "size", "held_out", "seed", "ablate", "losses")
    own = {name: getattr(options, name) for name in fixed}
    own["losses"] = asdict(options.losses)
    return {"video": file_hash(options.source), "track": digest.hexdigest()} | plain(own)
