"""What touches the disk: read with a limit; write beside, then rename."""

from __future__ import annotations

import errno
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dnr.errors import InputError

MEBIBYTE = 1 << 20
DISK_TROUBLES = {
    errno.ENOSPC: "the disk is full; free some space and try again",
    errno.EDQUOT: "your disk quota is used up; free some space and try again",
    errno.EFBIG: "the file system does not take so large a file; choose another disk",
    errno.EROFS: "the disk is read-only; choose another folder",
    errno.EACCES: "permission denied; choose a folder that you can write to",
    errno.EPERM: "permission denied; choose a folder that you can write to",
    errno.EEXIST: "a part of this path is a file; choose another name",
    errno.ENOTDIR: "a part of this path is a file; choose another name",
    errno.EISDIR: "it is a folder; choose another name",
    errno.ENOTEMPTY: "it is a folder with other things in it; choose another name",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
}
"""What to say, and what to do, for the usual reasons why a disk refuses to write."""


def read_bytes(path: Path, limit_bytes: int) -> bytes:
    """The content of the file `path`; refuses what is not a file or is larger than the limit."""
    if not path.is_file():  # also keeps pipes and devices out, which would block or never end
        state = "is not a file" if path.exists() else "does not exist"
        raise InputError(f"{path} {state}; check the path")
    try:
        with path.open("rb") as file:
            data = file.read(limit_bytes + 1)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    if len(data) > limit_bytes:
        raise InputError(
            f"{path} is larger than the {limit_bytes / MEBIBYTE:g} MiB that such a file may have; "
            "check that it is the right one"
        )
    return data


def read_json(path: Path, limit_bytes: int = 64 * MEBIBYTE) -> dict[str, Any]:
    """The JSON object in the file `path`."""
    data = read_bytes(path, limit_bytes)
    try:
        value = json.loads(data.decode("utf-8-sig"))  # some editors put a byte order mark first
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not JSON: it is not UTF-8 text; save it as UTF-8") from error
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise InputError(f"{path} is not JSON: {error.msg} at {place}; correct it") from error
    except (ValueError, RecursionError) as error:  # numbers of thousands of digits, deep nesting
        raise InputError(f"{path} is not JSON of a sensible size; check the file") from error
    if not isinstance(value, dict):
        raise InputError(f"{path} must hold a JSON object ({{...}} outermost); check the file")
    return value


def check_format(path: Path, value: dict[str, Any], newest: int) -> None:
    """Raise unless `value`, read from `path`, has a `format_version` of 1 up to `newest`."""
    version = value.get("format_version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise InputError(f"{path} has no valid format_version; it was not written by this program")
    if version > newest:
        raise InputError(
            f"{path} was written by a newer version of this program (format {version}, this one "
            f"reads up to {newest}); update the program"
        )


def write_json(path: Path, value: Any) -> None:
    """Write `value` to `path` in one step: readers see the old file or the new one, never half."""
    text = json.dumps(value, indent=2, allow_nan=False)  # NaN is not JSON; browsers refuse it
    with written_whole(path) as beside:
        beside.write_text(text + "\n", encoding="utf-8")


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder beside `path` to fill; it becomes `path` on success and disappears on failure.

    Refuses at once when `path` is there already, unless it is an empty folder.
    """
    if path.exists() and not (path.is_dir() and next(path.iterdir(), None) is None):
        raise InputError(f"{path} exists already; remove it or choose another name")
    with written_whole(path) as beside:
        beside.mkdir()
        yield beside


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A free path beside `path`; what the block puts there takes the place of `path` at its end.

    If the block fails, nothing is left behind and an older `path` stays as it was. Missing parent
    folders are made. Failures of the disk become an `InputError` that names `path`.
    """
    # Not tempfile: what it makes is for the owner only, and stays so after the rename. The suffix
    # stays last because some writers choose or add one.
    beside = path.with_name(f".{path.stem}.{secrets.token_hex(4)}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield beside
            for item in [*beside.rglob("*"), beside]:
                _sync(item)
            beside.replace(path)
            _sync(path.parent)
        finally:
            if beside.is_dir():
                shutil.rmtree(beside)
            else:
                beside.unlink(missing_ok=True)
    except OSError as error:
        if error.filename is not None and not _concerns(path, beside, Path(str(error.filename))):
            raise  # the block stumbled over some other file
        words = DISK_TROUBLES.get(error.errno or 0) or error.strerror or str(error)
        raise InputError(f"{path} cannot be written: {words}") from error


def _concerns(path: Path, beside: Path, other: Path) -> bool:
    """Whether `other` is `path`, one of its parents, or something that is being written for it."""
    return other == path or other in path.parents or other == beside or beside in other.parents


def _sync(path: Path) -> None:
    """Wait until `path` is on the disk, so that a power cut cannot leave a renamed empty file."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
