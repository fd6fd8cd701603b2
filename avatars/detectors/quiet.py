"""Native libraries that talk to stderr: kept quiet where they start."""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Nothing written to stderr is seen, nor any warning, unless the block fails: then all of it.

    By file descriptor too, since C++ logs do not pass through `sys.stderr`.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile("w+", errors="replace") as said:
        os.dup2(said.fileno(), 2)
        try:
            with redirect_stderr(said), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        except BaseException:
            said.seek(0)
            os.write(kept, said.read().encode())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
