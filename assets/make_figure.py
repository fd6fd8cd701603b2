"""Make the README's figure from a run: `python assets/make_figure.py runs/demo`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro
from tyro.conf import Positional

from dnr.commands import run_command

FIGURE = Path(__file__).with_name("figure.jpg")


@dataclass(frozen=True)
class Figure:
    """Ground truth, render and error of a few held-out views, side by side."""

    run: Positional[Path]
    """Run folder whose capture is still where it was."""
    out: Path = FIGURE
    """Picture to write."""
    views: tuple[int, ...] = (1, 3)
    """Which of the held-out views to show, by their place among them."""


def make_figure(options: Figure) -> None:
    """Write the picture."""
    from dnr.asset import Asset
    from dnr.files import written_whole
    from dnr.images import contact_sheet, error_image, jpeg_bytes
    from dnr.training.evaluation import compare

    asset = Asset.load(options.run)
    scored = compare(options.run, asset)
    shown = [scored[index] for index in options.views]
    sheet = contact_sheet(
        [[view.truth, view.render, error_image(view.truth, view.render)] for view in shown],
        [
            ["photo, not trained on", f"render, {view.figures['psnr']:.1f} dB", "error, 0 to 10 %"]
            for view in shown
        ],
    )
    with written_whole(options.out) as beside:
        beside.write_bytes(jpeg_bytes(sheet, 80))


if __name__ == "__main__":
    chosen = tyro.cli(Figure, description=__doc__)
    run_command(lambda: make_figure(chosen))
