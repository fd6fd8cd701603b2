"""A film of an actor with sound, and the truth about every frame of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np

from avatars.heads.files import load_head
from avatars.heads.head import Head
from avatars.synthetic.actors import ACTORS, ActorName, identity_of
from avatars.synthetic.performance import Performance, perform
from avatars.synthetic.posing import hair_offsets, posed, rest_shape
from avatars.synthetic.studio import FOCAL, open_studio, project, take_picture
from avatars.synthetic.voice import RATE, speak
from dnr.errors import InputError
from dnr.files import new_folder
from dnr.progress import progress
from dnr.video import add_h264, encodable

VIDEO, TRUTH = "actor.mp4", "truth.npz"


@dataclass(frozen=True)
class FilmOptions:
    """What to film."""

    actor: ActorName = "A"
    """Who: two people of different shape, skin, voice and light."""
    frames: int = 150
    """How many pictures, at most 10000."""
    seed: int = 0
    """Of the performance: another one acts differently."""
    size: int = 256
    """Width and height in pixels."""
    fps: int = 30
    """Pictures a second."""

    def __post_init__(self) -> None:
        for name, least, most in (("frames", 1, 10_000), ("size", 64, 1024), ("fps", 1, 120)):
            if not least <= getattr(self, name) <= most:
                raise InputError(f"--{name} must be {least} to {most}, got {getattr(self, name)}")


class Truth(NamedTuple):
    """What was really there: T frames of one person. Head frame and poses: avatars/heads."""

    identity: np.ndarray  # [I]
    offsets: np.ndarray  # [V], metres along the normals at rest: hair
    expression: np.ndarray  # [T, E]
    gaze: np.ndarray  # [T, 2, 2]
    neck: np.ndarray  # [T, 3]
    head_to_camera: np.ndarray  # [T, 3, 4]
    landmarks: np.ndarray  # [T, 478, 2], pixels
    focal: np.ndarray  # [], pixels
    size: np.ndarray  # [2], height and width
    fps: np.ndarray  # []


def film(out: Path, options: FilmOptions) -> None:
    """Write actor.mp4 and truth.npz into the new folder `out`."""
    head, actor = load_head(), ACTORS[options.actor]
    identity = identity_of(actor, head)
    rest = rest_shape(head, identity, hair_offsets(head, actor.look.hair_m))
    joint = head.neck_joint.double().numpy() @ rest
    performance = perform(head, joint, options.frames, options.fps, options.seed)
    sound = speak(head, performance, options.fps, actor.pitch_hz, options.seed)
    landmarks = np.empty((options.frames, len(head.landmark_faces), 2))
    with new_folder(out) as beside:
        images = _pictures(head, rest, performance, options, landmarks)
        _write_video(beside / VIDEO, images, sound, options)
        truth = Truth(
            identity,
            hair_offsets(head, actor.look.hair_m),
            *performance[:4],
            landmarks,
            np.array(FOCAL * options.size),
            np.array([options.size, options.size]),
            np.array(options.fps),
        )
        np.savez(beside / TRUTH, allow_pickle=False, **truth._asdict())


def load_truth(folder: Path) -> Truth:
    """The truth about the film in `folder`."""
    with np.load(folder / TRUTH, allow_pickle=False) as archive:
        return Truth(*(archive[name] for name in Truth._fields))


def _pictures(
    head: Head,
    rest: np.ndarray,
    performance: Performance,
    options: FilmOptions,
    landmarks: np.ndarray,  # filled on the way
) -> Iterator[np.ndarray]:
    studio = open_studio(head, ACTORS[options.actor], options.size)
    corners = head.faces[head.landmark_faces].numpy()
    share = head.landmark_bary.double().numpy()[..., None]
    with progress(options.frames, "frames") as shown:
        for frame in range(options.frames):
            points = posed(head, rest, performance, frame)
            landmarks[frame] = project((points[corners] * share).sum(axis=1), options.size)[:, :2]
            yield take_picture(studio, points, grain_seed=options.seed * 1_000_003 + frame)
            shown.update(frame + 1)


def _write_video(
    path: Path, images: Iterator[np.ndarray], sound: np.ndarray, options: FilmOptions
) -> None:
    """H.264 and AAC, interleaved as they are made."""
    size = (options.size, options.size)
    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as container:
        video = add_h264(container, size, options.fps, {"crf": "16"})
        audio = container.add_stream("aac", rate=RATE, layout="mono")
        for index, image in enumerate(images):
            container.mux(video.encode(encodable(image)))
            start, end = (round((index + i) / options.fps * RATE) for i in (0, 1))
            block = av.AudioFrame.from_ndarray(sound[None, start:end], "fltp", layout="mono")
            block.sample_rate, block.pts, block.time_base = RATE, start, Fraction(1, RATE)
            container.mux(audio.encode(block))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))
