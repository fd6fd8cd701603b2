"""Put the measured tables into benchmarks/README.md: `python -m benchmarks.readme`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from benchmarks.ablation import ablation_table
from benchmarks.avatar_ablation import ablation_tables
from benchmarks.avatars import tables
from benchmarks.heads import head_tables
from benchmarks.results import ROOT, Results
from benchmarks.tables import all_tables, provenance
from dnr.commands import run_command
from dnr.errors import InputError
from dnr.files import written_whole

FIRST, LAST = "<!-- bench -->", "<!-- /bench -->"


@dataclass(frozen=True)
class Readme:
    """Replace what stands between the markers of benchmarks/README.md with the measured tables."""

    readme: Path = ROOT / "benchmarks" / "README.md"
    """The file with the markers."""
    results: Path = ROOT / "benchmarks" / "results"
    """Folder of bench.json, ablation.json, avatars.json, heads.json and avatar_ablation.json."""


def fill_readme(readme: Path, text: str) -> None:
    """Write `text` between the markers of `readme`."""
    before = readme.read_text() if readme.is_file() else ""
    start, first, rest = before.partition(FIRST)
    _, last, end = rest.partition(LAST)
    if not first or not last:
        raise InputError(f"{readme} has no {FIRST} and {LAST} lines; add them where tables belong")
    with written_whole(readme) as beside:
        beside.write_text(f"{start}{FIRST}\n{text}\n{LAST}{end}")


def measured(folder: Path) -> str:
    """All tables of the files in `folder`."""
    bench = Results.open(folder / "bench.json").sections
    rows = Results.open(folder / "ablation.json").sections.get("ablation", [])
    parts = Results.open(folder / "avatar_ablation.json").sections.get("avatars", [])
    heads = Results.open(folder / "avatars.json").sections
    tracks = Results.open(folder / "heads.json").sections.get("heads", [])
    if not any((bench, rows, parts, heads, tracks)):
        raise InputError(f"{folder} holds no results; run make bench and make ablation first")
    texts = [all_tables(bench)] if bench else []
    if rows:
        budget = f"{rows[0]['budget']:g} s of one core"
        title = f"**What each choice is worth, {budget} (`make ablation`)**"
        texts += [title, ablation_table(rows), provenance({"ablation": rows})]
    texts += [tables(heads)] if heads else []
    texts += [head_tables(tracks)] if tracks else []
    return "\n\n".join([*texts, *ablation_tables(parts)])


if __name__ == "__main__":
    chosen = tyro.cli(Readme)
    run_command(lambda: fill_readme(chosen.readme, measured(chosen.results)))
