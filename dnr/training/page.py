"""The HTML of a report page: one file that opens anywhere, offline, on a phone, light or dark."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from html import escape

import cv2
import numpy as np

from dnr.images import jpeg_bytes, png_bytes

_MAX_SIDE_PX = 1024  # larger pictures are scaled down: a report is for looking, not for measuring

# Grey surroundings without a tint: colours beside them are judged as they are.
_STYLE = """
:root { color-scheme: light dark; --page: #f4f4f4; --card: #fff; --ink: #1c1c1c; --quiet: #666;
  --line: #ddd; --good: #1a7f4b; --bad: #c2410c;
  --c0: #0b6bcb; --c1: #d9480f; --c2: #2b8a3e; --c3: #9c36b5; }
@media (prefers-color-scheme: dark) { :root { --page: #191919; --card: #232323; --ink: #ececec;
  --quiet: #a0a0a0; --line: #3a3a3a; --good: #5fd39a; --bad: #ff9d66;
  --c0: #6cb6ff; --c1: #ffa066; --c2: #7bd88f; --c3: #d9a3ea; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); line-height: 1.5;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 1400px; margin: 0 auto; padding: 28px clamp(12px, 3vw, 40px) 60px; }
h1 { font-size: clamp(1.6rem, 4vw, 2.3rem); line-height: 1.2; margin: 0 0 4px; }
h2 { font-size: 1.35rem; margin: 52px 0 6px; }
h3 { font-size: 1rem; margin: 0 0 8px; display: flex; flex-wrap: wrap; gap: 4px 12px;
  align-items: baseline; }
p { margin: 0 0 12px; max-width: 75ch; }
.quiet, figcaption, h3 small { color: var(--quiet); font-size: .9rem; font-weight: 400; }
.good { color: var(--good); } .bad { color: var(--bad); } .good, .bad { font-weight: 650; }
.hero { display: grid; gap: 24px; margin-top: 24px; align-items: center; }
@media (min-width: 860px) { .hero {
  grid-template-columns: minmax(0, max-content) minmax(300px, 1fr); } }
.numbers { display: grid; grid-template-columns: repeat(auto-fit, minmax(125px, 1fr)); gap: 12px; }
.numbers div { background: var(--card); border-radius: 10px; padding: 14px 16px; }
.numbers b { display: block; font-size: 1.75rem; line-height: 1.2; white-space: nowrap;
  font-variant-numeric: tabular-nums; }
.numbers b small { font-size: .95rem; font-weight: 500; }
img, video { display: block; width: 100%; height: auto; border-radius: 6px; background: #888; }
.hero img, .hero video { width: auto; max-width: 100%; max-height: 78vh; }
figure { margin: 0; } figcaption { padding: 4px 2px 0; }
.view { margin: 18px 0 30px; }
.three { display: grid; gap: 8px; }
@media (min-width: 600px) { .three { grid-template-columns: 1fr 1fr 1fr; } }
.tiles { display: grid; gap: 16px; margin-top: 12px;
  grid-template-columns: repeat(auto-fill, minmax(min(300px, 100%), 1fr)); }
.charts { display: grid; gap: 16px; margin-top: 12px;
  grid-template-columns: repeat(auto-fit, minmax(min(340px, 100%), 1fr)); }
.charts figure { background: var(--card); border-radius: 10px; padding: 14px 12px 6px; }
.scale { display: flex; gap: 10px; align-items: center; max-width: 420px; margin: 0 0 12px; }
.scale img { height: 12px; flex: 1; min-width: 60px; border-radius: 3px; }
svg { display: block; width: 100%; max-width: 580px; height: auto; }
svg text { fill: var(--quiet); font-size: 15px; }
.grid { stroke: var(--line); } polyline { fill: none; stroke-width: 2.2; stroke-linejoin: round; }
.curve0 { stroke: var(--c0); } .curve1 { stroke: var(--c1); } .curve2 { stroke: var(--c2); }
.curve3 { stroke: var(--c3); } svg g text { stroke: none; font-weight: 600; }
.curve0 text, .curve0 circle { fill: var(--c0); } .curve1 text, .curve1 circle { fill: var(--c1); }
.curve2 text, .curve2 circle { fill: var(--c2); } .curve3 text, .curve3 circle { fill: var(--c3); }
.notes { border-left: 4px solid var(--bad); background: var(--card); border-radius: 0 10px 10px 0;
  padding: 12px 18px; margin: 24px 0 0; } .notes p:last-child { margin: 0; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; margin-top: 10px; font-size: .95rem; }
th, td { text-align: left; vertical-align: top; padding: 7px 16px 7px 0;
  border-top: 1px solid var(--line); }
th { font-weight: 600; min-width: 6.5em; width: 12em; } td { overflow-wrap: anywhere; }
td.number { font-variant-numeric: tabular-nums; min-width: 5.5em; }
@media (max-width: 600px) { tr { display: grid; grid-template-columns: 1fr auto; padding: 7px 0;
  border-top: 1px solid var(--line); } th, td { border: 0; padding: 0; width: auto; }
  td:not(.number) { grid-column: span 2; } }
pre { background: var(--card); border-radius: 10px; padding: 14px 16px; white-space: pre-wrap;
  overflow-wrap: anywhere; font: .92rem/1.5 ui-monospace, "DejaVu Sans Mono", monospace; }
@media print { body { background: none; } .view, .charts figure { break-inside: avoid; } }
"""


def page(title: str, parts: Iterable[str]) -> str:
    """A whole HTML document that asks the network for nothing."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n<body><main>\n"
        + "\n".join(part for part in parts if part)
        + "\n</main></body></html>\n"
    )


def data_url(image: np.ndarray, lossless: bool = False) -> str:  # uint8 [H, W, 3] or [H, W]
    """The picture inside an address; over `_MAX_SIDE_PX` it is scaled down."""
    shown = np.repeat(image[..., None], 3, axis=-1) if image.ndim == 2 else image
    ratio = _MAX_SIDE_PX / max(shown.shape[:2])
    if ratio < 1:
        size = (max(1, round(shown.shape[1] * ratio)), max(1, round(shown.shape[0] * ratio)))
        shown = cv2.resize(shown, size, interpolation=cv2.INTER_AREA)
    data, kind = (png_bytes(shown), "png") if lossless else (jpeg_bytes(shown), "jpeg")
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def figure(image: np.ndarray, caption: str, lossless: bool = False) -> str:
    """A picture with words under it."""
    height, width = image.shape[:2]
    return (
        f'<figure><img src="{data_url(image, lossless)}" width="{width}" height="{height}" '
        f'alt="{escape(caption)}"><figcaption>{escape(caption)}</figcaption></figure>'
    )


def table(rows: Iterable[tuple[str, ...]]) -> str:
    """Rows of plain text; the first cell names the row."""
    lines = []
    for first, *rest in rows:
        cells = "".join(
            f'<td class="number">{escape(cell)}</td>'
            if len(rest) > 1 and place == 0
            else f"<td>{escape(cell)}</td>"
            for place, cell in enumerate(rest)
        )
        lines.append(f"<tr><th>{escape(first)}</th>{cells}</tr>")
    return f'<div class="wide"><table>{"".join(lines)}</table></div>' if lines else ""
