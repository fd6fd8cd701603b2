"""`make setup`, with a stand-in for Python that writes down what it is asked to do."""

import importlib.util
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent
STAND_IN = """#!/bin/sh
echo "$*" >> "$CALLS"
case "$*" in
*"$FAIL_AT"*) echo "$MESSAGE"; exit "${STATUS:-1}" ;;
*"-m venv"*) rm -rf .venv; mkdir -p .venv/bin; cp "$0" .venv/bin/python ;;
esac
"""
NEVER = "never asked for"


class Project:
    """A project folder whose set-up runs the stand-in."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.calls_file = folder.parent / "calls"
        self.monkeypatch = monkeypatch
        stand_in = folder.parent / "python3.11"
        stand_in.write_text(STAND_IN)
        stand_in.chmod(0o755)
        folder.mkdir()
        (folder / "requirements.txt").write_text("torch==2.13.0\nnumpy==2.4.6\n")
        (folder / "requirements-no-deps.txt").write_text("mediapipe==0.10.21\n")
        (folder / "pyproject.toml").write_text("")
        self.script = self.load()
        monkeypatch.setattr(self.script, "find_python", lambda: str(stand_in))
        monkeypatch.setenv("CALLS", str(self.calls_file))

    def load(self) -> ModuleType:
        path = ROOT / ".ci" / "setup.py"
        spec = importlib.util.spec_from_file_location("project_setup", path)
        assert spec and spec.loader
        script = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(script)
        for name in ("ROOT", "REQUIREMENTS", "ALONE", "VENV", "STAMP", "LOG"):
            place = self.folder / getattr(script, name).relative_to(ROOT)
            self.monkeypatch.setattr(script, name, place)
        return script

    def set_up(self, fail_at: str = NEVER, message: str = "") -> tuple[int, list[str]]:
        """The exit status, and what the stand-in was asked to do."""
        self.calls_file.write_text("")
        self.monkeypatch.setenv("FAIL_AT", fail_at)
        self.monkeypatch.setenv("MESSAGE", message)
        return self.script.main(), self.calls_file.read_text().splitlines()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    return Project(tmp_path / "project", monkeypatch)


def test_torch_comes_first_and_a_second_set_up_does_nothing(project: Project) -> None:
    status, calls = project.set_up()
    assert status == 0
    assert ["venv" in call for call in calls] == [True, False, False, False, False]
    assert "torch==2.13.0" in calls[1] and "numpy" not in calls[1]
    assert "-r " in calls[2] and "--no-deps" not in calls[2] and "-e " in calls[4]
    assert "--no-deps -r " in calls[3], "nothing that it declares may replace a pinned package"
    assert project.set_up() == (0, [])


@pytest.mark.parametrize("step", ["-m venv", "torch==", "-r ", "--no-deps -r ", "-e "])
def test_an_interrupted_set_up_starts_again(project: Project, step: str) -> None:
    assert project.set_up(fail_at=step)[0] == 2
    status, calls = project.set_up()
    assert status == 0 and "venv --clear" in calls[0] and len(calls) == 5


def test_changed_requirements_update_the_environment(project: Project) -> None:
    project.set_up()
    (project.folder / "requirements.txt").write_text("torch==2.13.0\nnumpy==2.4.7\n")
    status, calls = project.set_up(fail_at="-r ")
    assert status == 2 and "pip" in calls[0], "an environment that was complete is kept ..."
    assert "venv" in project.set_up()[1][0], "... but one whose update broke is not trusted"


def test_a_moved_project_is_set_up_again(project: Project, tmp_path: Path) -> None:
    project.set_up()
    project.folder = project.folder.rename(tmp_path / "moved")
    for name in ("ROOT", "REQUIREMENTS", "ALONE", "VENV", "STAMP", "LOG"):
        old = getattr(project.script, name)
        new = project.folder / old.relative_to(tmp_path / "project")
        project.monkeypatch.setattr(project.script, name, new)
    assert project.set_up()[1] != []


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("[Errno -3] Temporary failure in name resolution", "there is no network"),
        ("NewConnectionError: Failed to establish a new connection", "there is no network"),
        ("ERROR: [Errno 28] No space left on device", "the disk is full"),
        ("ERROR: [Errno 13] Permission denied: 'x'", "cannot be written"),
        ("ERROR: No matching distribution found for torch", "lacks a pinned version"),
        ("something nobody has seen before", "torch could not be set up"),
    ],
)
def test_what_goes_wrong_is_one_sentence(
    project: Project, capfd: pytest.CaptureFixture[str], message: str, words: str
) -> None:
    status, _ = project.set_up(fail_at="torch==", message="many lines\n" * 200 + message)
    sentence = capfd.readouterr().err
    assert status == 2 and words in sentence and ".venv-setup.log" in sentence
    assert sentence.count("\n") == 1
    assert message in (project.folder / ".venv-setup.log").read_text()


def test_a_closed_folder_is_one_sentence(
    project: Project, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        project.script, "LOG", project.folder
    )  # opening a folder fails for root too
    assert project.set_up()[0] == 2
    assert "cannot write" in capfd.readouterr().err


def test_another_python_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = Project(tmp_path / "project", monkeypatch).load()
    monkeypatch.setattr(script.sys, "version_info", (3, 9, 2))
    monkeypatch.setenv("PATH", "")
    with pytest.raises(
        script.SetupError, match=r"Python 3\.11 is needed and this is 3\.9; install"
    ):
        script.find_python()


def test_make_without_any_python_is_one_sentence() -> None:
    command = ["make", "--no-print-directory", "setup", "PYTHON=no-such-python"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert answer.returncode == 2
    assert answer.stderr.startswith("make setup needs Python 3.11 and found no no-such-python")
