"""Animate a person: an avatar or a portrait does what somebody else does in a video."""

import tyro

from avatars.reenact.options import ReenactOptions
from dnr.commands import run_command


def main() -> None:
    """Parse the command line, then write the video."""
    options = tyro.cli(ReenactOptions, description=__doc__, config=(tyro.conf.FlagCreatePairsOff,))
    if options.camera is not None:
        from avatars.reenact.camera import reenact_live  # after parsing: errors answer at once

        reenact_live(options)
    else:
        from avatars.reenact.command import reenact

        reenact(options)


if __name__ == "__main__":
    run_command(main)
