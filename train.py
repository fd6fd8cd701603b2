"""Train a neural asset: posed images and a mesh become something that renders new views."""

import tyro

from dnr.cli import run_command
from dnr.training.options import TrainOptions


def main() -> None:
    """Parse the command line, then train."""
    options = tyro.cli(TrainOptions, description=__doc__, config=(tyro.conf.FlagCreatePairsOff,))
    from dnr.training.run import train  # after parsing: --help and typing errors answer at once

    train(options)


if __name__ == "__main__":
    run_command(main)
