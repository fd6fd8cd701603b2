"""The page that a training run leaves behind: its pictures, its numbers, how it was made."""

from __future__ import annotations

import platform
import shlex
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np
import torch

from dnr import __version__
from dnr.files import written_whole
from dnr.images import FULL_ERROR, error_image, heat_image, tensor_from_images
from dnr.progress import clock_time
from dnr.training.charts import Curve, line_chart, number
from dnr.training.metrics import psnr
from dnr.training.page import data_url, figure, page, table

_MAX_VIEWS = 24  # more are thinned out evenly: the page stays light enough for a phone
_NAMES = {"psnr": "PSNR", "ssim": "SSIM", "lpips": "LPIPS", "flip": "FLIP"}
_UNITS = {"psnr": "dB"}
_COVERAGE = "UV coverage: the brighter, the more photos show this place; black was never seen"


class View(NamedTuple):
    """One held-out photo and its rendering."""

    name: str
    truth: np.ndarray  # uint8 [H, W, 3]
    render: np.ndarray  # uint8 [H, W, 3]


def command_line() -> str:
    """The command that is running, to be pasted into a shell."""
    program = Path(sys.argv[0]).name
    return shlex.join([*(["python"] if program.endswith(".py") else []), program, *sys.argv[1:]])


def running_versions() -> dict[str, str]:
    """Of what computes."""
    return {
        "dnr": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


@dataclass(frozen=True)
class Report:
    """Everything that the page shows. Texts may hold any characters."""

    title: str
    config: Mapping[str, Any]
    metrics: Mapping[str, Any]  # the content of metrics.json, "definition" included
    command: str = field(default_factory=command_line)
    versions: Mapping[str, str] = field(default_factory=running_versions)
    history: list[dict[str, float]] = field(default_factory=list)
    """Rows with "step", "seconds" and any figures; psnr and psnr_train share one chart."""
    views: list[View] = field(default_factory=list)
    texture_images: list[tuple[str, np.ndarray]] = field(default_factory=list)
    uv_coverage: np.ndarray | None = None  # uint8 [H, W] or [H, W, 3], bright: seen often
    capture_images: list[tuple[str, np.ndarray]] = field(default_factory=list)
    """How cameras and mesh were found, with captions."""
    video: str | None = None
    """Path of a video, relative to the run folder."""
    notes: list[str] = field(default_factory=list)
    """Warnings, in sentences."""


def write_report(folder: Path, content: Report) -> Path:
    """Write `report/index.html` in the run folder, whole or not at all, and return its path."""
    path = folder / "report" / "index.html"
    text = page(content.title, _parts(content))
    with written_whole(path) as beside:
        beside.write_text(text, encoding="utf-8")
    return path


def _parts(content: Report) -> Iterator[str]:
    scores = [_score(view) for view in content.views]
    yield f"<h1>{escape(content.title)}</h1>"
    yield f'<p class="quiet">{escape(_summary(content))}</p>'
    yield _hero(content, scores)
    yield _notes(content.notes)
    if content.views:
        yield from _views(content.views, scores)
    if content.history:
        yield "<h2>Training</h2>"
        yield from _charts(content.history)
    tiles = [figure(image, caption) for caption, image in content.texture_images]
    if content.uv_coverage is not None:
        tiles.append(figure(content.uv_coverage, _COVERAGE, lossless=True))
    if tiles:
        yield f'<h2>Neural texture</h2><div class="tiles">{"".join(tiles)}</div>'
    if content.capture_images:
        tiles = [figure(image, caption) for caption, image in content.capture_images]
        yield f'<h2>Capture</h2><div class="tiles">{"".join(tiles)}</div>'
    yield "<h2>All numbers</h2>"
    yield table(_number_rows(content.metrics))
    yield f"<h2>How it was made</h2><pre>{escape(content.command)}</pre>"
    yield table((name, str(version)) for name, version in content.versions.items())
    yield "<h2>Settings</h2>"
    yield table((_spaced(name), str(value)) for name, value in _flat(content.config))


def _score(view: View) -> float:
    return float(psnr(tensor_from_images(view.render), tensor_from_images(view.truth)))


def _summary(content: Report) -> str:
    train = content.metrics.get("train", {})
    words = [f"{number(train['steps'])} steps"] if "steps" in train else []
    words += [f"{clock_time(train['seconds'])} of training"] if "seconds" in train else []
    words += [f"on {train['device']}"] if "device" in train else []
    return ", ".join(words)


def _notes(notes: list[str]) -> str:
    lines = "".join(f"<p>{escape(note)}</p>" for note in notes)
    return f'<div class="notes">{lines}</div>' if lines else ""


def _hero(content: Report, scores: list[float]) -> str:
    """The video, or the rendering of middling quality, beside the headline numbers."""
    middle = sorted(range(len(scores)), key=scores.__getitem__)[len(scores) // 2] if scores else -1
    still = content.views[middle].render if content.views else None
    picture = ""
    if content.video is not None:
        poster = f' poster="{data_url(still)}"' if still is not None else ""
        source = escape(quote(f"../{content.video}"))
        picture = f'<video src="{source}"{poster} controls loop muted autoplay playsinline></video>'
    elif still is not None:
        picture = figure(still, f"{content.views[middle].name}, rendered")
    cards = [
        _card(name, value)
        for name, value in _flat(content.metrics.get("test", {}))
        if isinstance(value, int | float)
    ]
    numbers = (
        f'<div><p class="quiet">Held-out views</p><div class="numbers">{"".join(cards)}</div></div>'
    )
    return f'<div class="hero">{picture}{numbers if cards else ""}</div>'


def _card(name: str, value: float) -> str:
    words = _NAMES.get(name, _spaced(name.removeprefix("num_")))
    return (
        f"<div><b>{number(value)} <small>{_UNITS.get(name, '')}</small></b>"
        f'<span class="quiet">{escape(words)}</span></div>'
    )


def _views(views: list[View], scores: list[float]) -> Iterator[str]:
    best, worst = scores.index(max(scores)), scores.index(min(scores))
    shown = {round(i) for i in np.linspace(0, len(views) - 1, min(len(views), _MAX_VIEWS))}
    shown |= {best, worst}
    yield "<h2>Held-out views</h2>"
    yield "<p>Photos that training never saw, and what was rendered in their place."
    if len(shown) < len(views):
        yield f" {len(shown)} of {len(views)} are shown."
    yield "</p>" + _error_scale()
    for index in sorted(shown):
        view, mark = views[index], ""
        if len(views) > 1 and index in (best, worst):
            kind, word = ("good", "best") if index == best else ("bad", "worst")
            mark = f'<span class="{kind}">{word}</span>'
        yield (
            f'<section class="view"><h3>{escape(view.name)}'
            f"<small>{number(scores[index])} dB</small>{mark}</h3>"
            '<div class="three">'
            + figure(view.truth, "ground truth")
            + figure(view.render, "render")
            + figure(error_image(view.truth, view.render), "error")
            + "</div></section>"
        )


def _error_scale() -> str:
    ramp = heat_image(np.linspace(0, FULL_ERROR, 256)[None].repeat(8, axis=0), FULL_ERROR)
    return (
        '<div class="scale quiet"><span>no error</span>'
        f'<img src="{data_url(ramp, lossless=True)}" alt="black to pale yellow">'
        f"<span>{FULL_ERROR:.0%} and more</span></div>"
    )


def _charts(history: list[dict[str, float]]) -> Iterator[str]:
    """One chart for each family of figures: names that share what stands before the first _."""
    names = dict.fromkeys(
        name for row in history for name in row if name not in ("step", "seconds")
    )
    families: dict[str, list[str]] = {}
    for name in names:
        families.setdefault(name.split("_")[0], []).append(name)
    seconds = [row["seconds"] for row in history if "seconds" in row]
    below = f"steps ({clock_time(max(seconds))} in all)" if seconds else "steps"
    yield '<div class="charts">'
    for family, members in sorted(families.items()):
        curves = []
        for name in members:
            rows = [row for row in history if row.get(name) is not None]
            curves.append(
                Curve(_spaced(name), [row["step"] for row in rows], [row[name] for row in rows])
            )
        title = f"{_NAMES.get(family, family)} {_UNITS.get(family, '')}".strip()
        chart = line_chart(curves, below, log_y=family == "loss")
        yield f"<figure><h3>{escape(title)}</h3>{chart}</figure>"
    yield "</div>"


def _number_rows(metrics: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Every number beside its definition, then the definitions that belong to no single number."""
    definitions = dict(_flat(metrics.get("definition", {})))
    used = set()
    for name, value in _flat({key: value for key, value in metrics.items() if key != "definition"}):
        known = [key for key in (name, name.rpartition(".")[2]) if key in definitions]
        used.update(known)
        text = number(value) if isinstance(value, int | float) else str(value)
        yield _spaced(name), text, str(definitions[known[0]]) if known else ""
    for name, text in definitions.items():
        if name not in used:
            yield _spaced(name), "", str(text)


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of nested mappings under names joined with dots."""
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _spaced(name: str) -> str:
    return name.replace(".", " ").replace("_", " ")
