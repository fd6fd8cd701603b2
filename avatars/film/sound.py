"""The sound of another video, copied as it is where MP4 can hold it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.audio.resampler import AudioResampler
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError


def sound_of(path: Path) -> tuple[Path | None, str]:
    """`path` if it has sound that can be decoded, else None; and a sentence that says why not."""
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                return None, f"{path.name} has no sound, so the film has none."
            next(container.decode(audio=0))
    except (FFmpegError, StopIteration, OSError):
        return None, f"The sound of {path.name} cannot be decoded, so the film has none."
    return path, ""


class SoundTrack:
    """Sound on its way from one file into another; `stream` is its place in the output."""

    def __init__(self, path: Path, output: OutputContainer, copied: Collection[str]) -> None:
        self.source: InputContainer = av.open(str(path))
        self.input = self.source.streams.audio[0]
        codec = self.input.codec_context
        self.is_copied = codec.name in copied
        if self.is_copied:
            self.stream = output.add_stream_from_template(self.input)
        else:
            self.stream = output.add_stream("aac", rate=codec.sample_rate or 48_000)
        self.began_s = _start_s(self.source.streams.video[0]) if self.source.streams.video else 0.0

    def packets(self, until_s: float, broken: Callable[[str], object]) -> Iterator[av.Packet]:
        """Packets for `stream`, from time 0 of the pictures to `until_s`.

        Where the sound breaks off they end, and `broken` is told so.
        """
        try:
            yield from self._copied(until_s) if self.is_copied else self._encoded(until_s)
        except FFmpegError as error:
            broken(f"The sound breaks off before the end ({error.strerror}).")
        finally:
            self.source.close()

    def _copied(self, until_s: float) -> Iterator[av.Packet]:
        shift = round(self.began_s / _tick(self.input))
        for packet in self.source.demux(self.input):
            if packet.pts is None or packet.dts is None or packet.is_corrupt:
                continue
            time_s = float((packet.pts - shift) * _tick(self.input))
            if time_s >= until_s:
                return
            if time_s > -0.2:  # a little before the start is the codec warming up
                packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
                packet.stream = self.stream
                yield packet

    def _encoded(self, until_s: float) -> Iterator[av.Packet]:
        assert isinstance(self.stream, av.AudioStream)
        codec = self.stream.codec_context
        resampler = AudioResampler(codec.format, codec.layout, codec.sample_rate)
        for frame in self.source.decode(self.input):
            time_s = (frame.time or 0.0) - self.began_s
            if time_s >= until_s:
                break
            if time_s < 0:
                continue
            frame.pts, frame.time_base = (
                round(time_s * codec.sample_rate),
                Fraction(1, codec.sample_rate),
            )
            for ready in resampler.resample(frame):
                yield from self.stream.encode(ready)
        yield from self.stream.encode(None)


def _tick(stream: av.AudioStream | av.VideoStream) -> Fraction:
    return stream.time_base or Fraction(1, 1000)


def _start_s(stream: av.VideoStream) -> float:
    return float((stream.start_time or 0) * _tick(stream))
