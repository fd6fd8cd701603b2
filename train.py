"""Train a neural asset: a video, photos or posed images become something that renders new views.

With --kind avatar, a video of a person becomes a head that other videos can drive.
"""

import sys

import tyro

from dnr.commands import run_command

FLAGS = (tyro.conf.FlagCreatePairsOff,)


def main() -> None:
    """Parse the command line, then train."""
    if _kind(sys.argv[1:]) == "avatar":
        from avatars.training.options import AvatarOptions

        options = tyro.cli(AvatarOptions, description=__doc__, config=FLAGS)
        from avatars.training.run import train_avatar  # after parsing: errors answer at once

        train_avatar(options)
    else:
        from dnr.training.options import TrainOptions

        options = tyro.cli(TrainOptions, description=__doc__, config=FLAGS)
        from dnr.training.run import train

        train(options)


def _kind(words: list[str]) -> str | None:
    """What --kind says, before everything else is parsed: each kind has options of its own."""
    for word, following in zip(words, [*words[1:], None], strict=True):
        if word == "--kind":
            return following
        if word.startswith("--kind="):
            return word.partition("=")[2]
    return None


if __name__ == "__main__":
    run_command(main)
