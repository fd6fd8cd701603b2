"""How every command of this project ends: by a status, and by a sentence where one is due."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable
from typing import NoReturn

from dnr.errors import InputError


def run_command(command: Callable[[], None]) -> NoReturn:
    """Run `command` and end the process: 0 when it returns, 2 and a sentence for bad input."""
    # The one place where the number of torch's threads is chosen, before torch starts. One: they
    # wait for each other after every small product, which is up to seven times slower than one
    # when anything else runs, and at best 1.5 times faster (image renderers on an idle machine).
    # One thread also gives the same bits on every run. Rendering uses the other cores for other
    # frames (clips.py), and whoever sets OMP_NUM_THREADS knows better.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    signal.signal(signal.SIGTERM, _terminate)
    try:
        command()
    except InputError as error:
        _end(str(error), 2)
    except KeyboardInterrupt:
        _end("stopped; what was finished before is kept", 130)
    except BrokenPipeError:  # as in `dnr doctor | head`: nobody reads on, which is no error of ours
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        _end("the disk is full; free some space and try again", 2)
    sys.exit(0)


def _terminate(*_: object) -> NoReturn:
    """Unlike the default, this removes what is half-written on its way out."""
    sys.exit(128 + signal.SIGTERM)


def _end(sentence: str, status: int) -> NoReturn:
    print(sentence, file=sys.stderr)
    sys.exit(status)
