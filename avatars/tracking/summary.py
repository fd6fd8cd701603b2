"""How tracking went, in a few plain lines."""

from __future__ import annotations

from avatars.tracking.track import Track
from dnr.words import counted

DOUBTFUL = 0.5


def summary(track: Track) -> list[str]:
    """What a person wants to know before using the track."""
    lost, doubtful = ~track.found, track.doubt >= DOUBTFUL
    lines = [
        f"{counted(len(track), 'frame')}, {float(track.times[-1]):.1f} s, "
        f"of {track.size[1]} x {track.size[0]} pixels",
        f"face found in {100 * float(track.found.float().mean()):.1f} % of the frames, "
        f"{int(lost.sum())} bridged",
        f"{counted(int(doubtful.sum()), 'frame')} of them doubtful",
    ]
    if doubtful.any():
        stretches = _stretches(doubtful.nonzero()[:, 0].tolist())
        shown = ", ".join(f"{first}-{last}" for first, last in stretches[:8])
        lines.append(f"doubtful frames: {shown}{' ...' if len(stretches) > 8 else ''}")
    return lines


def _stretches(numbers: list[int]) -> list[tuple[int, int]]:
    """Runs of consecutive numbers, as first and last."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1] = runs[-1][0], number
        else:
            runs.append((number, number))
    return runs
