"""What a finished avatar run leaves behind: scores on held-out frames, film strips, the report."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from avatars.avatar.avatar import Avatar
from avatars.avatar.files import SavedAvatar, save_avatar
from avatars.training.judging import DEFINITION, Judged, judge
from avatars.training.options import AvatarOptions
from avatars.training.prepare import Prepared
from avatars.training.scores import Scored
from avatars.training.state import AvatarState
from dnr.files import write_json
from dnr.images import images_from_tensor
from dnr.training.report import Report, View, write_report
from dnr.training.results import plain, training_summary
from dnr.video import write_video

STRIP, VIEWS = 8, 16
FILM = "held_out.mp4"
NOT_JUDGED = "No frames were held out, so none are scored."


def write_results(
    options: AvatarOptions,
    avatar: Avatar,
    prepared: Prepared,
    state: AvatarState,
    about: dict[str, Any],
) -> None:
    """Score, and write metrics, film, report and avatar, the last last."""
    scored, numbers, note = Judged([], {}, NOT_JUDGED)
    if prepared.held_out is not None:
        scored, numbers, note = judge(avatar, prepared.held_out)
        write_video(options.out / FILM, _side_by_side(scored), prepared.train.performance.fps)
    training = training_summary(state, avatar.device) | {"frames": len(prepared.train)}
    metrics = {"test": numbers, "train": training, "definition": DEFINITION}
    write_json(options.out / "metrics.json", metrics)
    write_report(
        options.out,
        Report(
            title=f"{options.source.name}: avatar",
            config=plain(asdict(options)),
            metrics=metrics,
            history=state.history,
            views=[
                View(f"frame {item.index}", item.truth, item.render)
                for item in _spread(scored, VIEWS)
            ],
            texture_images=[*film_strips(scored), ("colour", _skin(avatar))],
            video=FILM if scored else None,
            notes=[note],
        ),
    )
    saved = SavedAvatar(avatar, prepared.rest, prepared.limits, prepared.around, about)
    save_avatar(options.out, saved)
    _say(options, numbers)


def _say(options: AvatarOptions, numbers: dict[str, float]) -> None:
    """Print the scores, and where to find what."""
    words = "".join(f"  {name} {value:.4g}" for name, value in numbers.items())
    print(f"held-out frames:{words}" if words else NOT_JUDGED)
    print(f"avatar: {options.out}\nreport: {options.out / 'report' / 'index.html'}")
    print(f"drive it: python reenact.py {options.out} --driving CLIP.mp4 --out OUT.mp4")


def film_strips(scored: list[Scored]) -> list[tuple[str, np.ndarray]]:
    """Moments of the held-out frames, real ones above rendered ones."""
    if not scored:
        return []
    chosen = _spread(scored, STRIP)
    rows = [np.concatenate(row, axis=1) for row in _rows(chosen)]
    return [("film strip: real frames above, rendered ones below", np.concatenate(rows))]


def _rows(chosen: list[Scored]) -> list[list[np.ndarray]]:
    return [[item.truth for item in chosen], [item.render for item in chosen]]


def _spread(scored: list[Scored], count: int) -> list[Scored]:
    places = np.linspace(0, len(scored) - 1, min(count, len(scored))).round().astype(int)
    return [scored[place] for place in places]


def _side_by_side(scored: list[Scored]) -> Iterable[np.ndarray]:
    return (np.concatenate([item.truth, item.render], axis=1) for item in scored)


def _skin(avatar: Avatar) -> np.ndarray:  # uint8 [H, W, 3]
    """The static texture's colour."""
    levels = [level.detach().cpu() for level in avatar.texture.colour_levels()]
    side = levels[0].shape[0]
    images = [level.permute(2, 0, 1)[None] for level in levels]
    grown = [torch.nn.functional.interpolate(i, (side, side), mode="bilinear") for i in images]
    return images_from_tensor(torch.stack(grown).sum(dim=0))[0]
