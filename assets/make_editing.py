"""Make the picture of dnr/editing/README.md: `python assets/make_editing.py runs/demo`."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import tyro
from tyro.conf import Positional

from dnr.commands import run_command

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Picture:
    """The demo before and after a recipe, from several places."""

    run: Positional[Path]
    """Run folder of `make demo`."""
    out: Path = HERE / "editing.jpg"
    """Picture to write."""
    recipe: Path = HERE / "recipe.json"
    """What to do."""
    views: tuple[str, ...] = ("images/0050.png", "images/0053.png")
    """Photos from whose places to look."""


def make_picture(options: Picture) -> None:
    """Write the picture."""
    from dnr.asset import Asset
    from dnr.clips import run_cameras
    from dnr.editing.runs import edit_run
    from dnr.files import written_whole
    from dnr.images import contact_sheet, images_from_tensor, jpeg_bytes

    cameras = run_cameras(options.run)
    with tempfile.TemporaryDirectory() as folder:
        edited = Path(folder) / "edited"
        edit_run(options.run, options.recipe, edited)
        assets = Asset.load(options.run), Asset.load(edited)
        looks = [
            images_from_tensor(asset.render(cameras[view]))[0]
            for view in options.views
            for asset in assets
        ]
    with written_whole(options.out) as beside:
        beside.write_bytes(
            jpeg_bytes(contact_sheet([looks], [["before", "after"] * len(options.views)]), 85)
        )


if __name__ == "__main__":
    chosen = tyro.cli(Picture, description=__doc__)
    run_command(lambda: make_picture(chosen))
