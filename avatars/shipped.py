"""Where the files of assets/ are."""

from __future__ import annotations

from pathlib import Path

from dnr.errors import InputError


def shipped_file(name: str) -> Path:
    """A file of assets/: inside of avatars/ where pip put it, beside it in a checkout."""
    here = Path(__file__)
    for folder in (here.parent / "assets", here.parents[1] / "assets"):
        if (folder / name).is_file():
            return folder / name
    raise InputError(f"{name} is missing from this installation; install the program again")
