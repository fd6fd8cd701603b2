"""How far a silent library is, told by the rows of the database that it fills."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE
from typing import IO

from dnr.progress import progress

# A process of its own: two SQLite libraries in one process break each other's locks on a file, and
# the one that maps it into memory then dies of a bus error.
_COUNTER = """
import select, sqlite3, sys
database, table = sys.argv[1:]
ended = False
while not ended:
    ended = bool(select.select([sys.stdin], [], [], 1.0)[0])
    try:
        opened = sqlite3.connect(database, timeout=1.0, uri=True)
        print(opened.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0], flush=True)
        opened.close()
    except sqlite3.Error:
        pass  # it is not there yet, or busy
"""


@contextmanager
def watched_rows(database: Path, table: str, total: int | None, what: str) -> Iterator[None]:
    """Show how many rows a table has, once a second, while the block fills it."""
    address = f"{database.resolve().as_uri()}?mode=ro"
    command = [sys.executable, "-I", "-S", "-c", _COUNTER, address, table]

    def watch(shown: progress, lines: IO[str]) -> None:
        for line in lines:
            shown.update(int(line))

    with progress(total, what) as shown:
        with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, text=True) as counter:
            assert counter.stdin is not None and counter.stdout is not None
            watcher = threading.Thread(target=watch, args=(shown, counter.stdout), daemon=True)
            watcher.start()
            try:
                yield
            finally:
                counter.stdin.close()  # it counts once more, and ends
                watcher.join()
