"""Measured rows as markdown tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks.quality import MEAN_TEXTURE, PLAIN_TEXTURE
from benchmarks.results import Row

Sections = dict[str, list[Row]]


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A markdown table; the first column is text, the others are numbers."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def all_tables(sections: Sections) -> str:
    """Everything that has been measured, with a line on where and when."""
    parts = [
        ("Rasteriser, one thread, milliseconds", "raster", raster_table),
        ("Texture lookups, one thread, milliseconds", "sampling", sampling_table),
        ("Presets, one thread unless said otherwise, milliseconds", "presets", preset_table),
        ("Peak resident memory of train.py", "memory", memory_table),
    ]
    parts = [part for part in parts if part[1] in sections]
    texts = [f"**{title}**\n\n{make(sections[key])}" for title, key, make in parts]
    texts += [
        f"**{scene}: PSNR in dB (against the averaged texture) and SSIM on held-out views**\n\n"
        + quality_table([row for row in sections["quality"] if row["scene"] == scene])
        for scene in dict.fromkeys(row["scene"] for row in sections.get("quality", []))
    ]
    return "\n\n".join([*texts, provenance(sections)])


def provenance(sections: Sections) -> str:
    """Where and when the rows were measured."""
    rows = [row for section in sections.values() for row in section]
    days = sorted({row["date"] for row in rows})
    commits = ", ".join(dict.fromkeys(row["commit"] for row in rows))
    machines = "; ".join(dict.fromkeys(row["machine"] for row in rows))
    when = " to ".join(dict.fromkeys(days[:1] + days[-1:]))
    return f"Measured {when} at commit {commits} on {machines}."


def raster_table(rows: list[Row]) -> str:
    head = ["faces", "size", "rasteriser", "least", "median", "byte floor"]
    keys = "ms_min", "ms_median", "byte_floor_ms"
    return table(head, [[r["faces"], r["side"], r["backend"], *numbers(r, keys)] for r in rows])


def sampling_table(rows: list[Row]) -> str:
    head = ["size", "channels", "levels", "summed", "fused", "torch", "byte floor", "difference"]
    keys = "summed_ms_median", "fused_ms_median", "torch_ms_median", "byte_floor_ms", "difference"
    return table(head, [[r["side"], r["channels"], r["levels"], *numbers(r, keys)] for r in rows])


def preset_table(rows: list[Row]) -> str:
    """Forward is lookups and renderer; "/ floor" is the renderer over its layers alone."""
    head = ["preset", "size", "forward", "FLOP floor", "byte floor", "renderer", "/ floor", "frame"]
    head += ["frames/s, 2 cores", "step", "FLOP floor", "byte floor", "GFLOP/s"]
    keys = ["forward_ms_median", "forward_flop_floor_ms", "forward_byte_floor_ms"]
    keys += [
        "renderer_ms_median",
        "renderer_over_floor",
        "frame_ms_median",
        "frames_per_second",
    ]
    keys += ["step_ms_median", "step_flop_floor_ms", "step_byte_floor_ms", "gflop_per_second"]
    return table(head, [[r["preset"], r["side"], *numbers(r, keys)] for r in rows])


def memory_table(rows: list[Row]) -> str:
    head = ["preset", "photos", "size", "GiB"]
    keys = ["peak_gib"]
    return table(head, [[r["preset"], r["photos"], r["side"], *numbers(r, keys)] for r in rows])


def numbers(row: Row, keys: Iterable[str]) -> list[str]:
    return [f"{row[key]:.3g}" for key in keys]


def quality_table(rows: list[Row]) -> str:
    """One scene: methods down, budgets of processor time across."""
    averages = [row for row in rows if row["budget"] == 0]
    trained = [row for row in rows if row["budget"] > 0]
    base = next((r["psnr"] for r in averages if r["method"] == MEAN_TEXTURE), None)
    budgets = sorted({row["budget"] for row in trained})
    cells = {(row["method"], row["budget"]): figures(row, base) for row in trained}
    order = [m for m in (PLAIN_TEXTURE, MEAN_TEXTURE) if any(r["method"] == m for r in averages)]
    lines = [[r["method"], figures(r, base), *[""] * len(budgets)] for r in averages]
    lines.sort(key=lambda line: order.index(line[0]))
    for method in dict.fromkeys(row["method"] for row in trained):
        lines.append([method, "", *[cells.get((method, budget), "") for budget in budgets]])
    return table(["method", "untrained", *[f"{budget:g} s" for budget in budgets]], lines)


def figures(row: Row, base: float | None) -> str:
    """One cell; the seconds are given where they miss the budget by more than a twentieth."""
    text = f"{row['psnr']:.2f}"
    if base is not None and row["psnr"] != base:
        text += f" ({row['psnr'] - base:+.2f})"
    text += f" {row['ssim']:.3f}"
    if row["budget"] and abs(row["cpu_seconds"] / row["budget"] - 1) > 0.05:
        text += f" [{row['cpu_seconds']:.0f} s]"
    return text
