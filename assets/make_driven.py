"""Make the README's picture of a driven photo, of people who do not exist."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from dnr.commands import run_command

PICTURE = Path(__file__).with_name("driven.jpg")


@dataclass(frozen=True)
class Driven:
    """What a made-up driver does above, and what a photo of somebody else then does below."""

    out: Path = PICTURE
    """Picture to write."""
    frames: int = 96
    """Length of the driver's film."""
    photo: int = 79
    """Which frame of the other's film is the photo."""
    shown: tuple[int, ...] = (9, 27, 48, 66, 84)
    """Which of its frames to show."""


def make_driven(options: Driven) -> None:
    """Write the picture."""
    from avatars.reenact.command import reenact
    from avatars.reenact.options import ReenactOptions
    from avatars.synthetic.film import FilmOptions, film
    from dnr.files import written_whole
    from dnr.images import contact_sheet, jpeg_bytes, write_png

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        film(folder / "driver", FilmOptions(actor="A", frames=options.frames, size=256))
        film(folder / "other", FilmOptions(actor="B", frames=options.photo + 1, size=256))
        driver = folder / "driver" / "actor.mp4"
        photo, out = folder / "photo.png", folder / "out.mp4"
        *_, still = _pictures(folder / "other" / "actor.mp4")
        write_png(photo, still)
        reenact(ReenactOptions(photo, out, driving=driver, audio="none"))
        rows = [list(_pictures(path)) for path in (driver, out)]
    shown = [[row[index] for index in options.shown] for row in rows]
    titles = [["driver"] * len(options.shown), ["the photo, driven"] * len(options.shown)]
    sheet = contact_sheet([shown[0], [*shown[1], still]], [titles[0], [*titles[1], "the photo"]])
    with written_whole(options.out) as beside:
        beside.write_bytes(jpeg_bytes(sheet, 80))


def _pictures(video: Path) -> Iterator[np.ndarray]:
    from dnr.footage import footage_frames, open_footage

    for frame in footage_frames(open_footage(video)):
        yield frame.image


if __name__ == "__main__":
    chosen = tyro.cli(Driven, description=__doc__)
    run_command(lambda: make_driven(chosen))
