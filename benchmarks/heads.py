"""How well and how fast heads are tracked: `python -m benchmarks.heads --clips A.mp4 B.mp4`.

Without clips only the synthetic actors are measured, whose truth is known. Distances are in
hundredths of the distance between the outer corners of the eyes; time is the process's CPU time.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import tyro
from torch import Tensor

from avatars.heads.files import load_head
from avatars.heads.head import Motion, head_vertices, landmark_points, vertex_normals
from avatars.heads.movements import MOVEMENTS, movements
from avatars.heads.rotations import rotation_vectors
from avatars.synthetic.film import FilmOptions, Truth, film, load_truth
from avatars.tracking.options import TrackOptions
from avatars.tracking.outline import bare_head, overlap_of_outlines
from avatars.tracking.pictures import read_mask
from avatars.tracking.track import Track, camera, crop_camera
from avatars.tracking.track_video import track_video
from dnr.cli import run_command

LIPS = ((13, 14), (33, 263))  # opening, over the distance of the eyes
LIDS = {"right": ((159, 145), (33, 133)), "left": ((386, 374), (362, 263))}
STILLEST = 0.1  # of the frames: where jitter is measured
SAMPLES = 24  # frames of a clip that outlines are compared in


@dataclass(frozen=True)
class HeadBenchmark:
    """What to measure."""

    clips: tuple[Path, ...] = ()
    """Videos of heads."""
    frames: int = 200
    """Length of the synthetic actors' films; 0 leaves them out."""
    refine: bool = True
    """Measure the correction by the pictures too, which takes longer."""


def main(options: HeadBenchmark) -> None:
    """Print one line per video and stage."""
    stages = (False, True) if options.refine else (False,)
    with tempfile.TemporaryDirectory() as place:
        for clip in options.clips:
            for refine in stages:
                out = Path(place) / f"{clip.stem}-{refine}"
                track, seconds = _timed(clip, out, refine)
                values = agreement(track) | outlines(track, out)
                _say(clip.name, refine, values, seconds, track)
        for actor in ("A", "B") if options.frames else ():
            film(Path(place) / actor, FilmOptions(actor=actor, frames=options.frames, size=320))
            truth = load_truth(Path(place) / actor)
            for refine in stages:
                out = Path(place) / f"{actor}-{refine}"
                track, seconds = _timed(Path(place) / actor / "actor.mp4", out, refine)
                values = against_truth(track, truth) | outlines(track, out)
                _say(f"actor {actor}", refine, values, seconds, track)


def agreement(track: Track) -> dict[str, float]:
    """How the model's points agree with the detector's, and move with them."""
    head = load_head(track.head)
    frames = torch.arange(len(track))
    vertices = head_vertices(head, track.identity, track.motion, track.offsets)
    ours = camera(track, frames).project(landmark_points(head, vertices))[..., :2]
    theirs, found = track.landmarks, track.found
    unit = (theirs[found, 33] - theirs[found, 263]).norm(dim=-1).median() / 100
    miss = (ours - theirs).norm(dim=-1)[found] / unit
    corners = head.faces[head.landmark_faces]
    values = {"lost": float((~found).sum()), "all": float(miss[:, :468].mean())}
    for region in ("lips", "eyelids"):
        there = head.regions[region][corners].all(dim=1)
        values[region] = float(miss[:, there].mean())
    values["mouth_r"] = _alike(_opening(ours, *LIPS), _opening(theirs, *LIPS))
    for side, (lids, width) in LIDS.items():
        values[f"blink_{side}_r"] = _alike(
            _opening(ours, lids, width), _opening(theirs, lids, width)
        )
    values["jitter"] = _jitter(ours, theirs)
    return values


def outlines(track: Track, folder: Path) -> dict[str, float]:
    """Overlap of the head, without neck, with the person's mask."""
    head = load_head(track.head)
    frames = torch.linspace(0, len(track) - 1, min(SAMPLES, len(track))).long()
    motion = Motion(*(field[frames] for field in track.motion))
    vertices = head_vertices(head, track.identity, motion, track.offsets)
    masks = np.stack([read_mask(folder, int(frame)) for frame in frames])
    overlap = overlap_of_outlines(head, vertices, crop_camera(track, frames), masks)
    return {"outline_iou": float(overlap.mean())}


def against_truth(track: Track, truth: Truth) -> dict[str, float]:
    """What is really wrong: on the picture at the vertices that face the camera, and in degrees."""
    head = load_head(track.head)
    identity, offsets, *series = (torch.from_numpy(np.asarray(x)).float() for x in truth[:6])
    motion, pose = Motion(*series[:3]), series[3]
    true = _placed(head_vertices(head, identity, motion, offsets), pose)
    ours = head_vertices(head, track.identity, track.motion, track.offsets)
    ours = _placed(ours, track.head_to_camera)
    points = landmark_points(head, true)
    unit = (points[:, 33] - points[:, 263]).norm(dim=-1) / 100 / points[..., 2].mean(dim=1)
    off = (ours[..., :2] / ours[..., 2:] * track.focal / float(truth.focal)) - (
        true[..., :2] / true[..., 2:]
    )
    error = off.norm(dim=-1) / unit[:, None]
    facing = (vertex_normals(true, head.faces) * true).sum(dim=-1) < 0
    turned = rotation_vectors(track.head_to_camera[:, :, :3] @ pose[:, :, :3].transpose(1, 2))
    spread = turned.rad2deg().std(dim=0)
    there, here = movements(head, identity, motion), movements(head, track.identity, track.motion)
    values = {
        "face_error": _mean(error, facing & head.regions["face"]),
        "head_error": _mean(error, facing & bare_head(head)),
        "pitch_sd": float(spread[0]), "yaw_sd": float(spread[1]), "roll_sd": float(spread[2]),
        "gaze_deg": float((motion.gaze - track.motion.gaze).rad2deg().abs().mean()),
    }  # fmt: skip
    for name in ("jaw_open", "blink_left", "blink_right"):
        column = MOVEMENTS.index(name)
        values[f"{name}_r"] = _alike(there[:, column], here[:, column])
    return values


def _timed(video: Path, out: Path, refine: bool) -> tuple[Track, float]:
    start = time.process_time()
    track = track_video(video, out, TrackOptions(refine=refine, report=False))
    return track, time.process_time() - start


def _say(name: str, refine: bool, values: dict[str, float], seconds: float, track: Track) -> None:
    words = "  ".join(f"{key} {value:.3g}" for key, value in values.items())
    stage = "with pictures" if refine else "landmarks only"
    pace = f"cpu_ms_per_frame {1000 * seconds / len(track):.1f}"
    print(f"{name}, {stage}:  {words}  {pace}", flush=True)


def _placed(vertices: Tensor, pose: Tensor) -> Tensor:  # [T, V, 3], [T, 3, 4]
    return vertices @ pose[:, :, :3].transpose(1, 2) + pose[:, None, :, 3]


def _mean(error: Tensor, chosen: Tensor) -> float:
    return float(error[chosen].mean())


def _opening(points: Tensor, ends: tuple[int, int], width: tuple[int, int]) -> Tensor:  # [T]
    one, other = ((points[:, a] - points[:, b]).norm(dim=-1) for a, b in (ends, width))
    return one / other


def _alike(one: Tensor, other: Tensor) -> float:
    """Correlation."""
    return float(torch.corrcoef(torch.stack([one, other]))[0, 1])


def _jitter(ours: Tensor, theirs: Tensor) -> float:  # [T, 478, 2]
    """Second differences of our points over the detector's, where the video is most still."""
    speed = theirs.diff(dim=0).norm(dim=-1).mean(dim=1)
    calm = torch.nn.functional.avg_pool1d(speed[None], 9, stride=1, padding=4)[0][1:]
    chosen = calm.argsort()[: max(round(STILLEST * len(calm)), 1)]
    bends = [x.diff(n=2, dim=0).norm(dim=-1).mean(dim=1)[chosen].mean() for x in (ours, theirs)]
    return float(bends[0] / bends[1])


if __name__ == "__main__":
    run_command(lambda: main(tyro.cli(HeadBenchmark, description=__doc__)))
