"""The file of measured rows: each is written at once, so that a long benchmark can be continued."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numba
import torch

from dnr.files import read_json, write_json
from dnr.renderers.pixel import fast_bfloat16

ROOT = Path(__file__).resolve().parent.parent
Row = dict[str, Any]


@dataclass
class Results:
    """Rows by section, as the file holds them."""

    path: Path
    sections: dict[str, list[Row]]

    @staticmethod
    def open(path: Path) -> Results:
        """What `path` holds, or nothing yet."""
        return Results(path, read_json(path) if path.is_file() else {})

    def has(self, section: str, **keys: Any) -> bool:
        """Whether a row with these values was measured before."""
        return any(keys.items() <= row.items() for row in self.sections.get(section, []))

    def add(self, section: str, row: Row) -> None:
        """Keep `row` with the commit, the day and the machine that it was measured on."""
        stamp = {"commit": commit(), "date": date.today().isoformat(), "machine": machine()}
        self.sections.setdefault(section, []).append(row | stamp)
        write_json(self.path, self.sections)


def machine() -> str:
    """Processor, cores and versions in one line."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    bfloat16 = "bfloat16" if fast_bfloat16(torch.device("cpu")) else "float32"
    return (
        f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores, {bfloat16} "
        f"products, Python {platform.python_version()}, torch {torch.__version__}, "
        f"numba {numba.__version__}"
    )


def commit() -> str:
    """The commit that is checked out, with a + if files differ from it."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        return "unknown"

    def ask(*words: str) -> str:
        return subprocess.run([git, *words], cwd=ROOT, capture_output=True, text=True).stdout

    changed = ask("status", "--porcelain", "--", "avatars", "dnr", "benchmarks").strip()
    return ask("rev-parse", "--short", "HEAD").strip() + ("+" if changed else "")
