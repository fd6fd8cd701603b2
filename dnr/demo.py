"""The first thing to try: photos of a scene that does not exist, an asset, and a turn around it."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from dnr.errors import InputError
from dnr.progress import progress
from dnr.synthetic.captures import write_capture
from dnr.synthetic.config import SceneConfig
from dnr.training.options import TrainOptions
from dnr.training.results import say_where
from dnr.training.run import train

SCENE = SceneConfig(scene="still-life", size=(384, 384), num_train=48, num_test=8)
MINUTES = 1.25
"""Of training: with making the photos, scores and video, two minutes and a half on two cores."""


def demo(out: Path) -> None:
    """Make the run folder `out`, unless it is complete, and say where everything is."""
    photos = out.with_name(f"{out.name}-photos")
    if (out / "asset.json").is_file():
        say_where(out)
        print(f"This was there already; remove {out} to train again.")
    else:
        _check_free(out)
        count = SCENE.num_train + SCENE.num_test
        with progress(count, f"making photos of a {SCENE.scene}") as shown:
            write_capture(photos, SCENE, shown.update)
            shown.update(count)
        train(TrainOptions(photos, out, preset="pixel", minutes=MINUTES, turntable=True, yes=True))
    print(_next(photos, out))


def _check_free(out: Path) -> None:
    """Raise if there is something that training would not replace: nobody waits for photos then."""
    if out.is_dir():
        names = {item.name for item in out.iterdir()} - {"cache"}
        if not names or "train.json" in names:
            return
    if out.exists():
        raise InputError(f"{out} is there and no run; remove it or name another folder by --out")


def _next(photos: Path, out: Path) -> str:
    """What to try now, in commands that work as they stand."""
    python, dnr = "python", "dnr"
    if not shutil.which(dnr):  # the environment is not activated
        python, dnr = os.path.relpath(sys.executable), os.path.relpath(sys.argv[0])
    return f"""
Now open the report in a browser. Then, for example:
  {dnr} render {out} --path train --frames 150 --out {out.parent / "flight.mp4"}
  {dnr} eval {out}
  {python} train.py {photos} --out {out.parent / "longer"} --preset best
  {python} train.py YOUR_CAPTURE --out {out.parent / "mine"}  (see README.md)"""
