"""The most memory that a command has held: `python -m benchmarks.memory COMMAND ...`.

A process of its own, because a child's figure begins with that of the process which started it.
"""

from __future__ import annotations

import resource
import subprocess
import sys

if __name__ == "__main__":
    status = subprocess.run(sys.argv[1:], stdout=sys.stderr).returncode
    unit = 1 if sys.platform == "darwin" else 1024
    print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit)
    sys.exit(status)
