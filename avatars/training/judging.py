"""All scores of an avatar on frames whose truth is known."""

from __future__ import annotations

from typing import NamedTuple

from avatars.avatar.avatar import Avatar
from avatars.training.clip import Clip
from avatars.training.measures import DEFINITION as FOLLOWING
from avatars.training.measures import agreement, measured
from avatars.training.scores import DEFINITION as CLOSENESS
from avatars.training.scores import Scored, score_frames, summary
from dnr.progress import progress
from dnr.training.metrics import lpips_or_none

DEFINITION = CLOSENESS | FOLLOWING


class Judged(NamedTuple):
    """Every frame beside its rendering, what they come to, and whether anything was left out."""

    frames: list[Scored]
    numbers: dict[str, float]
    note: str


def judge(avatar: Avatar, clip: Clip) -> Judged:
    """The avatar, rendered from the clip's own track, against the clip."""
    lpips, note = lpips_or_none(avatar.plate)
    frames: list[Scored] = []
    with progress(len(clip), "scoring frames") as shown:
        for item in score_frames(avatar, clip, lpips=lpips):
            frames.append(item)
            shown.update(len(frames))
    wanted, _ = measured(item.truth for item in frames)
    made, _ = measured(item.render for item in frames)
    return Judged(frames, summary(frames, clip.masks) | agreement(wanted, made), note)
