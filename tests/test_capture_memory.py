"""Choosing frames takes no more memory for long videos than for short ones."""

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

SIZE, FPS, SECONDS = (1080, 1920), 12, 5
MEASURED = """
import resource, sys
from pathlib import Path
from dnr.capture.video_frames import extract_frames
extract_frames(Path(sys.argv[1]), Path(sys.argv[2]), 60)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def write_clip(path: Path) -> None:
    """A few seconds of a sliding pattern."""
    rng = np.random.default_rng(0)
    tiles = rng.integers(0, 256, (SIZE[0] // 40, 200, 3), dtype=np.uint8)
    wide = tiles.repeat(40, axis=0).repeat(40, axis=1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(FPS))
        stream.height, stream.width = SIZE
        stream.pix_fmt, stream.options = "yuv420p", {"preset": "ultrafast", "g": str(FPS)}
        for number in range(FPS * SECONDS):
            image = np.ascontiguousarray(wide[:, 60 * number : 60 * number + SIZE[1]])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))


def repeated(clip: Path, path: Path, times: int) -> None:
    """The clip many times over, without encoding it again."""
    with av.open(str(path), "w") as out:
        target = None
        for turn in range(times):
            with av.open(str(clip)) as source:
                stream = source.streams.video[0]
                target = target or out.add_stream_from_template(stream)
                length = round(SECONDS / (stream.time_base or 1))
                for packet in source.demux(stream):
                    if packet.pts is None or packet.dts is None:
                        continue
                    packet.pts, packet.dts = packet.pts + turn * length, packet.dts + turn * length
                    packet.stream = target
                    out.mux(packet)


@pytest.mark.slow
def test_ten_minutes_take_the_memory_of_one(tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.mp4")
    peaks = []
    for minutes in (1, 10):
        video = tmp_path / f"{minutes}.mp4"
        repeated(tmp_path / "clip.mp4", video, 60 * minutes // SECONDS)
        command = [sys.executable, "-c", MEASURED, str(video), str(tmp_path / f"{minutes} frames")]
        answer = subprocess.run(command, capture_output=True, text=True, check=True)
        peaks.append(int(answer.stdout))
    print(f"peak memory in MiB: {peaks[0]} for one minute, {peaks[1]} for ten")
    assert abs(peaks[1] - peaks[0]) < 200
