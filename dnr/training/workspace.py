"""The run folder while training: whose it is, and what is in it for the time being only."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from dnr.errors import InputError
from dnr.files import check_format, read_json, write_json
from dnr.training.report import command_line

FORMAT_VERSION = 1
"""Of train.json and the checkpoints beside it."""
CHECKPOINT = Path("checkpoints") / "last.safetensors"


class RunOptions(Protocol):
    """What the options of every kind of training have in common."""

    @property
    def out(self) -> Path: ...
    @property
    def resume(self) -> bool: ...
    @property
    def yes(self) -> bool: ...


def check_out(options: RunOptions) -> None:
    """Raise if the run folder cannot be ours: before minutes of work, not after."""
    out = options.out
    if options.resume:
        if not (out / CHECKPOINT).is_file():
            raise InputError(f"{out} has no checkpoint to resume from; start without --resume")
        check_format(out / "train.json", read_json(out / "train.json"), FORMAT_VERSION)
    elif out.exists() and (not out.is_dir() or any(item.name != "cache" for item in out.iterdir())):
        if not (options.yes and _is_run(out)):
            raise InputError(
                f"{out} is not empty; choose another --out, continue with --resume, or replace an "
                "earlier run with --yes"
            )


@contextmanager
def workspace(options: RunOptions) -> Iterator[Path]:
    """A folder in the run folder for what is needed while training only; it never stays.

    Nothing else is touched before input has proven good, and nothing at all is left if it is not;
    what can be used already, an asset or a checkpoint, always stays.
    """
    out, cache = options.out, options.out / "cache"
    is_new = not out.exists()
    if options.resume:
        for half in (out / CHECKPOINT).parent.glob(".*"):
            half.unlink()  # the run was killed while it, or safetensors for it, wrote this
    try:
        yield cache
    finally:
        shutil.rmtree(cache, ignore_errors=True)
        if is_new and not any((out / name).is_file() for name in ("asset.json", CHECKPOINT)):
            shutil.rmtree(out, ignore_errors=True)


def claim(out: Path) -> None:
    """Remove an earlier run, and mark the folder as that of the new one."""
    for item in out.iterdir():
        if item.name == "cache":
            continue
        if item.is_dir() and not item.is_symlink():
            shutil.rmtree(item)
        else:
            item.unlink()
    write_json(out / "train.json", {"format_version": FORMAT_VERSION, "command": command_line()})


def _is_run(folder: Path) -> bool:
    return (folder / "train.json").is_file() or (folder / "asset.json").is_file()
