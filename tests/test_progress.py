import io
import re

import pytest

from dnr.progress import clock_time, progress


class FakeClock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def run(seconds_per_step: float, total: int, stream: io.StringIO, **options) -> list[str]:
    """The lines that a job of even steps leaves behind."""
    clock = FakeClock()
    with progress(total, "train", stream=stream, clock=clock, **options) as shown:
        for step in range(options.get("start", 0) + 1, total + 1):
            clock.now_s += seconds_per_step
            shown.update(step, loss=1 / step, psnr=31.25 if step % 50 == 0 else None)
    return stream.getvalue().splitlines()


def test_a_pipe_gets_a_first_line_one_every_ten_seconds_and_a_last() -> None:
    lines = run(0.0625, 800, io.StringIO())  # 50 s in all
    steps = [int(line.split()[1].split("/")[0]) for line in lines]
    assert steps == [1, 161, 321, 481, 641, 800]
    assert lines[2] == "train  321/800  16.0 it/s  loss 0.003115  psnr 31.25  0:30 left"
    assert lines[-1] == "train  800/800  16.0 it/s  loss 0.00125  psnr 31.25  took 0:50"


def test_a_quick_job_is_two_lines() -> None:
    assert len(run(0.001, 60, io.StringIO())) == 2


def test_slow_steps_are_told_one_by_one_in_seconds_per_step() -> None:
    lines = run(12.0, 3, io.StringIO())
    assert len(lines) == 3 and "12.0 s/it" in lines[1] and "0:12 left" in lines[1]


def test_a_resumed_job_counts_only_its_own_steps_as_speed() -> None:
    lines = run(0.5, 120, io.StringIO(), start=100)
    assert lines[0].startswith("train  101/120  2.0 it/s")


def test_time_left_follows_the_limit_that_ends_first() -> None:
    assert "0:10 left" in run(0.5, 100, io.StringIO(), limit_s=10.5)[0]
    assert "0:50 left" in run(0.5, 100, io.StringIO(), limit_s=1000)[0]


def test_without_a_number_of_steps_the_limit_counts() -> None:
    stream, clock = io.StringIO(), FakeClock()
    with progress(None, "train", limit_s=60, stream=stream, clock=clock) as shown:
        clock.now_s += 20
        shown.update(7)
        clock.now_s += 35
    assert stream.getvalue().splitlines() == [
        "train  7  2.9 s/it  0:40 left",
        "train  7  7.9 s/it  took 0:55",
    ]


def test_speed_is_that_of_the_last_seconds() -> None:
    stream, clock = io.StringIO(), FakeClock()
    with progress(1000, "train", stream=stream, clock=clock) as shown:
        for step in range(1, 101):
            clock.now_s += 30.0 if step == 1 else 0.5  # compiling makes the first step slow
            shown.update(step)
    assert "2.0 it/s" in stream.getvalue().splitlines()[-1]


def test_a_failure_prints_no_last_line() -> None:
    stream = io.StringIO()
    with pytest.raises(KeyboardInterrupt), progress(10, "train", stream=stream) as shown:
        shown.update(1)
        shown.update(2)
        raise KeyboardInterrupt
    assert stream.getvalue().count("\n") == 1


def test_a_terminal_gets_one_line_that_moves(monkeypatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    stream = Terminal()
    run(0.05, 1000, stream)
    text = stream.getvalue()
    assert text.count("\n") == 1, "everything is drawn over one line"
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)
    drawn = [part.rstrip() for part in re.split(r"[\r\n]+", plain) if part.strip()]
    assert drawn[-1].startswith("train") and drawn[-1].endswith("psnr 31.25  took 0:50")
    assert max(map(len, drawn)) <= 80
    assert 400 < len(drawn) < 520, "about ten pictures a second, not one per step"


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()])
def test_stdout_is_left_alone(stream, capsys, monkeypatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stderr", stream)
    with progress(2, "writing photos") as shown:
        shown.update(1)
        print("result")
    assert capsys.readouterr().out == "result\n"
    assert "writing photos" in stream.getvalue() and "result" not in stream.getvalue()


def test_clock_times() -> None:
    assert [clock_time(s) for s in (0, 59.6, 125, 3725)] == ["0:00", "1:00", "2:05", "1:02:05"]
