"""An actor's pictures of a whole performance, made several at once and given in order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch

from avatars.film.parts import Picture
from avatars.reenact.actor import Actor
from avatars.transfer.limits import relative_turns
from avatars.transfer.neutral import neutral
from avatars.transfer.performance import Performance
from avatars.transfer.transfer import TransferOptions, transferred
from dnr.errors import InputError
from dnr.words import counted

MOST_AT_ONCE = 8
CLEARLY_RAD = 0.05  # less than that beyond the limits is not worth a word


def acted(driver: Performance, actor: Actor, options: TransferOptions) -> Performance:
    """What the actor is to do, so that it looks like what the driver did."""
    head = actor.person.head
    if driver.head != head.name:
        raise InputError(
            f"the driving motion was measured on the head {driver.head} and the avatar has "
            f"{head.name}; track the driving video again with --head {head.name}"
        )
    if options.neutral_frame is not None and options.neutral_frame >= len(driver):
        raise InputError(
            f"--neutral-frame {options.neutral_frame} is beyond the end of the driving clip, which "
            f"has {counted(len(driver), 'frame')}"
        )
    rest = neutral(head, driver, options.neutral_frame)
    return transferred(driver, rest, actor.person, options)


def held_back(driver: Performance, actor: Actor, options: TransferOptions) -> list[str]:
    """A sentence if the driver turns farther than the actor's source can follow."""
    limits = actor.person.limits
    if limits is None or not options.drives("pose"):
        return []
    rest = neutral(actor.person.head, driver, options.neutral_frame)
    turns = options.pose_strength * relative_turns(driver.head_to_camera[:, :, :3], rest.rotation)
    beyond = torch.maximum(turns - limits.turn[1], limits.turn[0] - turns)[:, :2]
    far = int((beyond > CLEARLY_RAD).any(dim=1).sum())
    if not far:
        return []
    most = turns[:, :2].abs().max().rad2deg()
    return [
        f"in {far} of {len(driver)} frames the driver turns farther (up to {most:.0f} degrees) "
        "than the source shows; these turns are softly held back"
    ]


def perform(actor: Actor, performance: Performance, first: int = 0) -> Iterator[Picture]:
    """The pictures from frame `first` on. Only a few are held at a time."""
    at_once = min(max((os.cpu_count() or 1) // torch.get_num_threads(), 1), MOST_AT_ONCE)
    waiting: deque[tuple[float, Future[np.ndarray]]] = deque()
    with ThreadPoolExecutor(at_once) as pool:
        try:
            for index in range(first, len(performance)):
                work = pool.submit(actor.picture, performance.frame(index))
                waiting.append((float(performance.times[index]), work))
                if len(waiting) > 2 * at_once:
                    time_s, ready = waiting.popleft()
                    yield Picture(ready.result(), time_s)
            while waiting:
                time_s, ready = waiting.popleft()
                yield Picture(ready.result(), time_s)
        finally:
            for _, unused in waiting:
                unused.cancel()
