"""`python -m dnr.synthetic --scene sphere --out DIR`: write one capture with known truth."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import tyro

from dnr.errors import InputError
from dnr.synthetic.captures import write_capture
from dnr.synthetic.config import SceneConfig


def main(out: Path, config: Annotated[SceneConfig, tyro.conf.arg(name="")]) -> None:
    """Write a capture folder of a generated scene.

    Args:
        out: The new folder.
        config: The scene.
    """
    write_capture(out, config)
    print(f"wrote {out}")


if __name__ == "__main__":
    try:
        tyro.cli(main)
    except (InputError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
