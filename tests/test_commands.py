"""Commands end with the promised status, and speak in sentences."""

import errno
import os
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn

import pytest
import tyro
from packaging.requirements import Requirement

from dnr.cli import main
from dnr.commands import run_command
from dnr.device import choose_device
from dnr.doctor import PACKAGES, examine
from dnr.errors import InputError
from dnr.files import new_folder
from dnr.training.options import TrainOptions

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def keep_signals() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def python(code: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def dnr(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The exit status of the command."""
    monkeypatch.setattr(sys, "argv", ["dnr", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    assert isinstance(end.value.code, int)
    return end.value.code


@pytest.mark.parametrize(
    ("trouble", "status", "sentence"),
    [
        (InputError("a.json is not JSON"), 2, "a.json is not JSON\n"),
        (KeyboardInterrupt(), 130, "stopped; what was finished before is kept\n"),
        (
            OSError(errno.ENOSPC, "No space left on device"),
            2,
            "the disk is full; free some space and try again\n",
        ),
    ],
)
def test_trouble_from_outside_is_a_sentence_and_a_status(
    capsys: pytest.CaptureFixture[str], trouble: BaseException, status: int, sentence: str
) -> None:
    def command() -> NoReturn:
        raise trouble

    with pytest.raises(SystemExit) as end:
        run_command(command)
    assert end.value.code == status
    assert capsys.readouterr() == ("", sentence)


def test_success_is_status_0_and_a_bug_is_a_traceback() -> None:
    with pytest.raises(SystemExit) as end:
        run_command(lambda: None)
    assert end.value.code == 0
    with pytest.raises(ZeroDivisionError):
        run_command(lambda: print(1 / 0))


def test_a_closed_pipe_is_no_traceback() -> None:
    much = "lambda: print('x' * 1_000_000, flush=True)"
    code = f"from dnr.commands import run_command\nrun_command({much})"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        assert run.stdout and run.stderr
        run.stdout.close()
        assert run.stderr.read() == b""
    assert run.returncode == 128 + signal.SIGPIPE


def test_a_kill_leaves_nothing_half_written(tmp_path: Path) -> None:
    def killed() -> None:
        with new_folder(tmp_path / "run") as folder:
            (folder / "half.txt").write_text("half")
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(SystemExit) as end:
        run_command(killed)
    assert end.value.code == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [["no-such-command"], ["render"], ["render", "run"], ["eval", "run", "--split", "all"], []],
)
def test_usage_errors_are_status_2(monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    assert dnr(monkeypatch, *arguments) == 2


def test_help_names_every_command_and_does_not_wait_for_torch() -> None:
    code = "import sys; sys.argv = ['dnr', '--help']\nfrom dnr.cli import main\n"
    code += "try: main()\nfinally: print('torch' in sys.modules, 'numba' in sys.modules)"
    answer = python(code)
    assert answer.returncode == 0, answer.stderr
    assert all(name in answer.stdout for name in ("render", "eval", "doctor", "demo"))
    assert answer.stdout.endswith("False False\n")


def test_public_names_are_there_and_torch_waits_for_them() -> None:
    code = "import dnr, sys; print('torch' in sys.modules, *[n for n in dir(dnr) if n[0] != '_'])"
    loaded, *names = python(code).stdout.split()
    assert loaded == "False"
    assert {"Asset", "Camera", "Mesh", "InputError", "path_cameras", "train"} <= set(names)
    code = f"import dnr; print(*[getattr(dnr, name) for name in {names}])"
    assert python(code).returncode == 0
    assert "AttributeError" in python("import dnr; dnr.nothing").stderr
    assert "ImportError" in python("from dnr import nothing").stderr


def test_commands_take_one_thread_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "from dnr.commands import run_command\n"
    code += "run_command(lambda: print(__import__('torch').get_num_threads()))"
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert python(code).stdout == "1\n"
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert python(code).stdout == "2\n"


def test_train_help_lists_what_scripts_rely_on() -> None:
    answer = python(
        f"import runpy, sys; sys.argv = ['train.py', '--help']; "
        f"runpy.run_path({str(ROOT / 'train.py')!r}, run_name='__main__')"
    )
    assert answer.returncode == 0, answer.stderr
    for name in "out kind mesh preset steps minutes size device seed resume yes".split():
        assert f"--{name}" in answer.stdout


@pytest.mark.parametrize(("name", "value"), [("steps", "-1"), ("minutes", "nan"), ("size", "3")])
def test_impossible_budgets_are_refused(name: str, value: str) -> None:
    with pytest.raises(InputError, match=f"--{name} must be at least"):
        tyro.cli(TrainOptions, args=["capture", "--out", "run", f"--{name}", value])


def test_an_absent_device_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert choose_device("auto").type == choose_device("cpu").type == "cpu"
    with pytest.raises(InputError, match=r"no CUDA device.*--device cpu"):
        choose_device("cuda")


def test_doctor_is_content(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert dnr(monkeypatch, "doctor") == 0
    answer = capsys.readouterr().out
    for words in ("torch 2.13", "threads", "GiB", "rasterizer", "pytorch3d", "LPIPS"):
        assert words in answer


def test_doctor_names_what_must_be_mended(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "av", None)  # makes the import fail
    assert dnr(monkeypatch, "doctor") == 2
    sentence = capsys.readouterr().err
    assert sentence.startswith("av cannot be used") and "make setup" in sentence
    assert sentence.count("\n") == 1


def test_doctor_sees_a_full_and_a_closed_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(dir: Path) -> NoReturn:
        raise PermissionError(errno.EACCES, "Permission denied")

    full = SimpleNamespace(free=1)
    monkeypatch.setattr("dnr.doctor.shutil.disk_usage", lambda folder: full)
    monkeypatch.setattr("dnr.doctor.tempfile.TemporaryFile", closed)
    problems = [finding.text for finding in examine(Path("results")) if finding.is_problem]
    assert len(problems) == 2
    assert problems[0].startswith("only 0.0 GiB are free in results")
    assert problems[1].startswith("results cannot be written (Permission denied)")


def test_doctor_asks_for_what_the_package_needs() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {requirement.split(">=")[0] for requirement in project["dependencies"]}
    assert needed == set(PACKAGES)


def test_pins_agree_with_the_ranges() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    ranges = [Requirement(text) for text in project["dependencies"]]
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if "==" in line)
    for needed in ranges:
        assert needed.specifier.contains(pins[needed.name]), f"{needed} against {pins[needed.name]}"
