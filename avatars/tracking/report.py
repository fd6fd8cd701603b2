"""The page that shows how tracking went: overlay video, contact sheet, and a table of frames."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from html import escape
from pathlib import Path

import numpy as np

from avatars.tracking.doubt import Signs, reasons
from avatars.tracking.overlay import overlays
from avatars.tracking.summary import summary
from avatars.tracking.track import Track
from dnr.files import written_whole
from dnr.footage import Footage
from dnr.images import contact_sheet, jpeg_bytes
from dnr.training.page import page
from dnr.video import write_video

QUALITY, REPORT = "quality.csv", "report"
SHEET = 10  # frames


def write_quality(folder: Path, track: Track, signs: Signs) -> None:
    """quality.csv: one row per frame, doubtful or not."""
    with written_whole(folder / QUALITY) as beside, beside.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["frame", "seconds", "found", "doubt", *Signs._fields, "why"])
        for frame in range(len(track)):
            values = [f"{float(field[frame]):.4g}" for field in signs]
            doubt = f"{float(track.doubt[frame]):.3f}"
            time, found = f"{float(track.times[frame]):.3f}", int(track.found[frame])
            rows.writerow([frame, time, found, doubt, *values, reasons(signs, frame)])


def write_report(
    folder: Path,
    track: Track,
    footage: Footage,
    notes: list[str],
    show: Callable[[int], object],
) -> None:
    """report/index.html with the overlay video and the contact sheet beside it."""
    place = folder / REPORT
    place.mkdir(exist_ok=True)
    wanted = set(np.linspace(0, len(track) - 1, SHEET).round().astype(int).tolist())
    kept: dict[int, list[np.ndarray]] = {}

    def frames() -> Iterator[np.ndarray]:
        for number, parts in overlays(track, footage, folder):
            if number in wanted:
                kept[number] = parts
            show(number + 1)
            yield np.concatenate(parts[:2], axis=1)

    write_video(place / "overlay.mp4", frames(), track.fps)
    rows = [[kept[number][row] for number in sorted(kept)] for row in range(3)]
    captions = [[f"frame {number}" for number in sorted(kept)], *2 * [[""] * len(kept)]]
    (place / "sheet.jpg").write_bytes(jpeg_bytes(contact_sheet(rows, captions)))
    with written_whole(place / "index.html") as beside:
        beside.write_text(_page(track, footage, notes), encoding="utf-8")


def _page(track: Track, footage: Footage, notes: list[str]) -> str:
    lines = [f"<p>{escape(line)}</p>" for line in [*summary(track), *notes]]
    parts = [
        f"<h1>Head in {escape(footage.path.name)}</h1>",
        *lines,
        '<figure><video src="overlay.mp4" controls loop muted></video><figcaption>Left the video, '
        "right the tracked head. A frame with an orange border is doubtful; quality.csv says why."
        "</figcaption></figure>",
        '<figure><img src="sheet.jpg" alt="frames, heads and outlines"><figcaption>Outlines: red '
        "the tracked head, green the person's mask.</figcaption></figure>",
    ]
    return page(f"track of {footage.path.name}", parts)
