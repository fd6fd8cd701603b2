"""Line charts as inline SVG: no chart library is light enough to travel inside a report.

Colours come from the page's style sheet (classes `curve0` and so on), so that charts follow its
light and dark appearance.
"""

from __future__ import annotations

import math
from html import escape
from itertools import pairwise
from typing import NamedTuple

_WIDTH, _HEIGHT = 440, 300  # of the drawing; the page scales it
_LEFT, _TOP, _BOTTOM = 62, 18, 52  # room for the tick labels and the label below
_MAX_POINTS = 300
_MINUS = "\N{MINUS SIGN}"
_LETTER_PX = 9.5  # widest usual letter of the names beside the curves
_NAME_PX = 38  # height of a name and the value under it


class Curve(NamedTuple):
    """One line of a chart; points that are not finite are left out."""

    name: str
    x: list[float]
    y: list[float]


def line_chart(curves: list[Curve], x_label: str, log_y: bool = False) -> str:
    """An SVG picture of the curves, each named at its right end beside its last value.

    With `log_y` values of zero and below are left out.
    """
    drawn = [(index, _thinned(curve, log_y)) for index, curve in enumerate(curves)]
    drawn = [(index, curve) for index, curve in drawn if curve.x]
    if not drawn:
        return '<p class="quiet">No values were recorded.</p>'
    xs = [x for _, curve in drawn for x in curve.x]
    ys = [y for _, curve in drawn for y in curve.y]
    x_ticks, y_ticks = ticks(min(xs), max(xs), 3), (log_ticks if log_y else ticks)(min(ys), max(ys))
    x_range = (min(min(xs), x_ticks[0]), max(xs))
    y_range = (min(min(ys), y_ticks[0]), max(max(ys), y_ticks[-1]))

    right = _WIDTH - 16 - max(7, *(len(curve.name) for _, curve in drawn)) * _LETTER_PX

    def column(x: float) -> float:
        return _LEFT + (right - _LEFT) * _share(x, *x_range)

    def row(y: float) -> float:
        y, low, high = (math.log10(v) if log_y else v for v in (y, *y_range))
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * _share(y, low, high)

    shapes = [_y_tick(tick, row(tick), right) for tick in y_ticks]
    shapes += [_x_tick(tick, column(tick)) for tick in x_ticks if x_range[0] <= tick <= x_range[1]]
    shapes.append(
        f'<text x="{(_LEFT + right) / 2:.0f}" y="{_HEIGHT - 8}" '
        f'text-anchor="middle">{escape(x_label)}</text>'
    )
    name_rows = _apart([row(curve.y[-1]) for _, curve in drawn])
    for (index, curve), name_row in zip(drawn, name_rows, strict=True):
        points = [(column(x), row(y)) for x, y in zip(curve.x, curve.y, strict=True)]
        name = _name(curve, right + 10, name_row)
        shapes.append(f'<g class="curve{index % 4}">{_line(points)}{name}</g>')
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(", ".join(curve.name for _, curve in drawn))}">'
        + "".join(shapes)
        + "</svg>"
    )


def ticks(low: float, high: float, about: int = 6) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten apart) from at most `low` to about `high`."""
    span = high - low if high > low else abs(high) or 1.0
    rough = span / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [index * step for index in range(first, max(last, first + 1) + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten around a positive range; over many decades powers only."""
    factors = (1, 2, 5) if high / low < 1000 else (1,)
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    values = [factor * 10.0**power for power in range(first, last + 1) for factor in factors]
    start = max((value for value in values if value <= low * 1.001), default=values[0])
    end = min((value for value in values if value >= high * 0.999), default=values[-1])
    return [value for value in values if start <= value <= end]


def number(value: float) -> str:
    """A number as a reader wants it: 20000 as 20 000, 0.01234 as 0.0123, 31.2045 as 31.20."""
    if not math.isfinite(value):
        return "∞" if value > 0 else f"{_MINUS}∞" if value < 0 else "not a number"
    if float(value).is_integer() and abs(value) < 1e15:
        digits = f"{int(value):,}".replace(",", " ") if abs(value) >= 10_000 else f"{int(value)}"
    elif abs(value) >= 10:
        digits = f"{value:.2f}" if abs(value) < 1000 else f"{value:.0f}"
    else:
        digits = f"{value:.4f}" if 0.1 <= abs(value) else f"{value:.3g}"
    return digits.replace("-", _MINUS)


def _share(value: float, low: float, high: float) -> float:
    return (value - low) / (high - low) if high > low else 0.5


def _thinned(curve: Curve, log_y: bool) -> Curve:
    """At most `_MAX_POINTS` points, each the mean of its neighbours; the last stays as it is."""
    points = [
        (x, y)
        for x, y in zip(curve.x, curve.y, strict=True)
        if math.isfinite(x) and math.isfinite(y) and (y > 0 or not log_y)
    ]
    stride = -(-len(points) // _MAX_POINTS) if points else 1
    groups = [points[start : start + stride] for start in range(0, len(points), stride)]
    means = [
        tuple(sum(values) / len(group) for values in zip(*group, strict=True)) for group in groups
    ]
    return Curve(curve.name, [x for x, _ in means], [y for _, y in means])


def _apart(rows: list[float]) -> list[float]:
    """The rows moved until names beside them do not overlap."""
    placed = list(rows)
    order = sorted(range(len(rows)), key=rows.__getitem__)
    for above, below in pairwise(order):
        placed[below] = max(placed[below], placed[above] + _NAME_PX)
    overhang = max(0.0, max(placed) - (_HEIGHT - _BOTTOM - _NAME_PX / 2))
    return [row - overhang for row in placed]


def _y_tick(value: float, row: float, right: float) -> str:
    return (
        f'<line class="grid" x1="{_LEFT}" x2="{right:.1f}" y1="{row:.1f}" y2="{row:.1f}"/>'
        f'<text x="{_LEFT - 8}" y="{row + 5:.1f}" text-anchor="end">{_tick_text(value)}</text>'
    )


def _x_tick(value: float, column: float) -> str:
    return (
        f'<text x="{column:.1f}" y="{_HEIGHT - _BOTTOM + 22}" text-anchor="middle">'
        f"{_tick_text(value)}</text>"
    )


def _tick_text(value: float) -> str:
    return number(float(f"{value:.6g}")) if abs(value) >= 1 else f"{value:.3g}".replace("-", _MINUS)


def _line(points: list[tuple[float, float]]) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    end_x, end_y = points[-1]
    return f'<polyline points="{path}"/><circle cx="{end_x:.1f}" cy="{end_y:.1f}" r="3.5"/>'


def _name(curve: Curve, left: float, row: float) -> str:
    return (
        f'<text x="{left:.1f}" y="{row:.1f}">{escape(curve.name)}'
        f'<tspan x="{left:.1f}" dy="17">{number(curve.y[-1])}</tspan></text>'
    )
