"""How far a long job is: one moving line on a terminal, a few plain lines in a pipe."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

_LINE_EVERY_S = 10.0  # in a pipe
_DRAW_EVERY_S = 0.1  # on a terminal
_TRUSTED_S = 0.2  # over less time a speed says nothing
_SPEED_OVER_S = 15.0  # the speed shown is that of the last so many seconds

Figure = float | int | str | None


class progress:  # a small letter, as in contextlib: `with progress(60, "photos") as shown:`
    """Shows the progress of a `with` block on stderr; `update` tells how far it is.

    With a `limit_s` the time left counts down to whichever comes first, the last step or the limit.
    """

    def __init__(
        self,
        total: int | None,  # steps in all; None when only the time is limited
        description: str,
        start: int = 0,  # steps done before, when a job is resumed
        limit_s: float | None = None,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._total, self._limit_s = total, limit_s
        self._description, self._step = description, start
        self._stream = sys.stderr if stream is None else stream
        self._clock = clock
        self._figures: dict[str, Figure] = {}
        self._began_s = clock()
        self._shown_s = float("-inf")
        self._shown_step: int | None = None
        self._recent = deque([(self._began_s, start)])  # (time, step), oldest first
        self._live: Live | None = None
        if self._stream.isatty():
            # stdout stays as it is: commands print their results there
            self._live = Live(
                console=Console(file=self._stream), auto_refresh=False, redirect_stdout=False
            )

    def __enter__(self) -> progress:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        told = self._shown_step == self._step == self._total
        if failure is None and not told:
            self._show(ended=True)
        if self._live:
            self._live.stop()

    def expect(self, total: int) -> None:
        """Count to `total` from now on; a time limit has been turned into it."""
        self._total, self._limit_s = total, None

    def update(self, step: int, **figures: Figure) -> None:
        """`step` steps are done. Figures (loss, psnr) stay on show until they are given again."""
        now = self._clock()
        self._step = step
        self._figures |= {name: value for name, value in figures.items() if value is not None}
        if now - self._recent[-1][0] >= 0.5:
            self._recent.append((now, step))
            while len(self._recent) > 2 and now - self._recent[1][0] > _SPEED_OVER_S:
                self._recent.popleft()
        if now - self._shown_s >= (_DRAW_EVERY_S if self._live else _LINE_EVERY_S):
            self._show()

    def _show(self, ended: bool = False) -> None:
        self._shown_s, self._shown_step = self._clock(), self._step
        words = "  ".join([self._count(), *self._details(ended or self._step == self._total)])
        if self._live:
            self._live.update(self._bar(self._live, words), refresh=True)
        else:
            print(f"{self._description}  {words}", file=self._stream, flush=True)

    def _bar(self, live: Live, words: str) -> Table:
        """One line: what is done, a bar as wide as there is room for, and the words."""
        room = live.console.width - len(self._description) - len(words) - 5
        bar = ProgressBar(total=1, completed=self._fraction(), width=max(min(room, 32), 1))
        row = Table.grid(padding=(0, 2, 0, 0))
        for _ in range(3):
            row.add_column(no_wrap=True, overflow="ellipsis")
        row.add_row(Text(self._description), bar, Text(words))
        return row

    def _count(self) -> str:
        return f"{self._step}" if self._total is None else f"{self._step}/{self._total}"

    def _fraction(self) -> float:
        by_step = self._step / self._total if self._total else 0.0
        by_time = (self._clock() - self._began_s) / self._limit_s if self._limit_s else 0.0
        return min(max(by_step, by_time), 1.0)

    def _details(self, ended: bool) -> list[str]:
        """Speed, figures, and the time left or, at the end, taken."""
        now, (since_s, since_step) = self._clock(), self._recent[0]
        window_s = now - since_s
        speed = (self._step - since_step) / window_s if window_s >= _TRUSTED_S else 0.0
        words = [_speed(speed)] if speed > 0 else []
        words += [f"{name} {_figure(value)}" for name, value in self._figures.items()]
        if ended:
            return [*words, f"took {clock_time(now - self._began_s)}"]
        left_s = []
        if self._total is not None and speed > 0:
            left_s.append((self._total - self._step) / speed)
        if self._limit_s is not None:
            left_s.append(max(self._limit_s - (now - self._began_s), 0.0))
        return [*words, f"{clock_time(min(left_s))} left"] if left_s else words


def clock_time(seconds: float) -> str:
    """Minutes and seconds as 2:05, with hours as 1:02:05."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"


def _speed(per_second: float) -> str:
    if per_second >= 1:
        return f"{per_second:.1f} it/s"
    return f"{1 / per_second:.1f} s/it"


def _figure(value: Figure) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
