"""How well and how fast heads are tracked: `python -m benchmarks.heads --clips A.mp4 B.mp4`.

Each video is tracked once; what landmarks alone say is measured on the way. Without clips only the
synthetic actors are measured, whose truth is known. Time is the process's CPU time.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import tyro

from avatars.synthetic.film import FilmOptions, Truth, film, load_truth
from avatars.tracking.options import TrackOptions
from avatars.tracking.track import Track
from avatars.tracking.track_video import track_video
from benchmarks.heads_measures import against_truth, agreement, outlines, picture_error
from benchmarks.results import ROOT, Results, Row
from benchmarks.tables import provenance, table
from dnr.commands import run_command
from dnr.footage import open_footage

SECTION = "heads"
ACTOR_SIZE = 320
STAGES = ("landmarks", "pictures")
CLIP_COLUMNS = {
    "off detected points": "detected", "off corrected points": "corrected", "lips": "lips",
    "lids": "eyelids", "mouth r": "mouth_r", "blink r right": "blink_right_r",
    "blink r left": "blink_left_r", "jitter": "jitter", "motion there": "speed",
    "outline IoU": "outline_iou", "colours off": "picture_error",
}  # fmt: skip
ACTOR_COLUMNS = {
    "face off": "face_error", "head off": "head_error", "pitch sd": "pitch_sd",
    "yaw sd": "yaw_sd", "roll sd": "roll_sd", "gaze": "gaze_deg", "jaw r": "jaw_open_r",
    "blink r right": "blink_right_r", "blink r left": "blink_left_r", "outline IoU": "outline_iou",
    "colours off": "picture_error",
}  # fmt: skip


@dataclass(frozen=True)
class HeadBenchmark:
    """What to measure."""

    clips: tuple[Path, ...] = ()
    """Videos of heads."""
    frames: int = 200
    """Length of the synthetic actors' films; 0 leaves them out."""
    out: Path = ROOT / "benchmarks" / "results" / "heads.json"
    """File of the measured rows; videos that are in it are not measured again."""


def main(options: HeadBenchmark) -> None:
    """Measure what `out` lacks, and print the tables."""
    results = Results.open(options.out)
    with tempfile.TemporaryDirectory() as place:
        for clip in options.clips:
            if not results.has(SECTION, video=clip.name):
                _measure(results, clip.name, clip, None, Path(place) / clip.stem)
        for actor in ("A", "B") if options.frames else ():
            name, folder = f"actor {actor}", Path(place) / actor
            if not results.has(SECTION, video=name):
                film(folder, FilmOptions(actor=actor, frames=options.frames, size=ACTOR_SIZE))
                truth = load_truth(folder)
                _measure(results, name, folder / "actor.mp4", truth, Path(place) / f"{actor}-track")
    print(head_tables(results.sections[SECTION]))


def _measure(results: Results, name: str, video: Path, truth: Truth | None, out: Path) -> None:
    """Two rows: what landmarks say, and what pictures make of it."""
    rough: list[Track] = []
    start = time.process_time()
    done: list[float] = []

    def first(track: Track) -> None:
        rough.append(track)
        done.append(time.process_time())

    track = track_video(video, out, TrackOptions(report=False), first)
    done.append(time.process_time())
    footage = open_footage(video)
    spent = (done[0] - start, done[1] - done[0])
    for stage, found, seconds in zip(STAGES, (rough[0], track), spent, strict=True):
        values = agreement(found) if truth is None else against_truth(found, truth)
        values |= outlines(found, out) | picture_error(found, footage, out)
        row = {"video": name, "stage": stage, "frames": len(found), **values}
        results.add(SECTION, row | {"cpu_ms_per_frame": 1000 * seconds / len(found)})


def head_tables(rows: list[Row]) -> str:
    """Real clips, then made-up actors."""
    texts = []
    for title, columns, is_actor in (
        ("Heads in real clips (distances in % of the eyes' distance)", CLIP_COLUMNS, False),
        ("Heads of made-up actors, against the truth (angles in degrees)", ACTOR_COLUMNS, True),
    ):
        chosen = [row for row in rows if ("face_error" in row) == is_actor]
        head = ["video", "by", *columns, "CPU ms a frame"]
        lines = [
            [row["video"], row["stage"]]
            + [f"{row[key]:.3g}" for key in (*columns.values(), "cpu_ms_per_frame")]
            for row in chosen
        ]
        if lines:
            texts.append(f"**{title}**\n\n{table(head, lines)}")
    return "\n\n".join([*texts, provenance({SECTION: rows})])


if __name__ == "__main__":
    run_command(lambda: main(tyro.cli(HeadBenchmark, description=__doc__)))
