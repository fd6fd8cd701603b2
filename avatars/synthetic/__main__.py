"""`python -m avatars.synthetic --out FOLDER --actor A`: film a made-up person, with known truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro

from avatars.synthetic.film import FilmOptions, film
from dnr.commands import run_command


def main(out: Path, options: Annotated[FilmOptions, tyro.conf.arg(name="")]) -> None:
    """Write actor.mp4, with sound, and truth.npz.

    Args:
        out: The new folder.
        options: The film.
    """
    film(out, options)
    print(f"wrote {out}: {options.frames} frames of actor {options.actor}")


if __name__ == "__main__":
    run_command(lambda: tyro.cli(main))
