"""Driving takes no more memory for long motion than for short."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from toy_avatars import toy_performance, toy_run

from avatars.heads.files import load_head
from avatars.transfer.performance import save_performance

MEASURED = """
import resource, sys
from pathlib import Path
import torch
from avatars.reenact.command import reenact
from avatars.reenact.options import ReenactOptions
torch.set_num_threads(1)
source, driving, out = map(Path, sys.argv[1:])
reenact(ReenactOptions(source=source, driving=driving, out=out))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


@pytest.mark.slow
def test_20000_frames_take_the_memory_of_200(tmp_path: Path) -> None:
    small: dict[str, object] = {"has_layers": False, "moving_channels": 0, "widths": (4, 4)}
    run = toy_run(tmp_path / "run", **small)
    some = toy_performance(load_head(), 200)
    peaks = []
    for times in (1, 100):
        motion, out = tmp_path / f"{times}.npz", tmp_path / f"{times}.mp4"
        rows = torch.arange(200).repeat(times)
        seconds = torch.arange(len(rows), dtype=torch.float64) / 25
        save_performance(motion, replace(some.frames(rows), times=seconds))
        command = [sys.executable, "-c", MEASURED, str(run), str(motion), str(out)]
        answer = subprocess.run(command, capture_output=True, text=True, check=True)
        peaks.append(int(answer.stdout.splitlines()[-1]))
    print(f"peak memory in MiB: {peaks[0]} for 200 frames, {peaks[1]} for 20,000")
    assert peaks[1] - peaks[0] < 300
