"""Make .venv ready: `make setup` runs this with whatever python3 the machine has.

Standard library only, and no syntax newer than Python 3.6, so that an old Python reaches the
sentence which says what is missing.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements.txt"
ALONE = ROOT / "requirements-no-deps.txt"  # packages that declare more than they need
VENV = ROOT / ".venv"
STAMP = VENV / "complete"  # written last: holds the fingerprint of what was set up
LOG = ROOT / ".venv-setup.log"

# What pip writes when something outside of it is wrong, and the sentence for it.
TROUBLES = (
    ("No space left on device", "the disk is full: free about 3 GB"),
    ("Permission denied", "this folder cannot be written: move the project to one that can"),
    ("Read-only file system", "this folder cannot be written: move the project to one that can"),
    ("Failed to establish a new connection", "there is no network: connect to it"),
    ("name resolution", "there is no network: connect to it"),
    ("Network is unreachable", "there is no network: connect to it"),
    ("ConnectTimeout", "the package index did not answer: check the network"),
    ("ProxyError", "the network's proxy did not answer: check the proxy settings"),
    ("No matching distribution found", "the package index lacks a pinned version: use another"),
    ("ensurepip is not available", "Python's venv module is incomplete: install python3.11-venv"),
)


class SetupError(Exception):
    """One sentence for the user."""


def main() -> int:
    """Exit status: 0 when .venv is complete, 2 after a sentence, 130 when interrupted."""
    try:
        set_up()
    except SetupError as error:
        print(f"set-up failed: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(
            f"set-up failed: cannot write {error.filename} ({error.strerror}); "
            "free some space, or move the project to a folder that you can write to",
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:
        print("set-up interrupted; `make setup` starts it again", file=sys.stderr)
        return 130
    return 0


def set_up() -> None:
    """Create or update .venv unless its stamp says that it is up to date."""
    wanted = fingerprint()
    was_complete = STAMP.is_file() and (VENV / "bin" / "python").exists()
    if was_complete and STAMP.read_text() == wanted:
        return
    python = find_python()
    LOG.write_text("")
    if was_complete:
        STAMP.unlink()  # from here to the end .venv counts as broken
    if not was_complete:  # never trust a half-installed environment: start again
        step("a new virtual environment", [python, "-m", "venv", "--clear", str(VENV)])
    pip = [str(VENV / "bin" / "python"), "-m", "pip", "install", "--no-input", "--retries", "2"]
    pip += ["--progress-bar", "off"]  # it would fill the log
    step("torch", [*pip, pinned("torch")])
    step("the other packages", [*pip, "-r", str(REQUIREMENTS)])
    step("the face detector", [*pip, "--no-deps", "-r", str(ALONE)])
    step("this project", [*pip, "--no-deps", "--no-build-isolation", "-e", str(ROOT)])
    STAMP.write_text(wanted)
    LOG.unlink()
    print("set-up complete")


def fingerprint() -> str:
    """Changes with the requirements, the metadata, this script and the place of the project."""
    digest = hashlib.sha256(str(ROOT).encode())  # a virtual environment cannot be moved
    for path in (REQUIREMENTS, ALONE, ROOT / "pyproject.toml", Path(__file__)):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def find_python() -> str:
    """An interpreter of version 3.11: the running one, or the python3.11 on the PATH."""
    if sys.version_info[:2] == (3, 11):
        return sys.executable
    other = shutil.which("python3.11")
    if other and subprocess.call([other, "-c", ""], stderr=subprocess.DEVNULL) == 0:
        return other
    raise SetupError(
        f"Python 3.11 is needed and this is {sys.version_info[0]}.{sys.version_info[1]}; "
        "install 3.11, or name it with make setup PYTHON=..."
    )


def pinned(name: str) -> str:
    """The line of requirements.txt that pins `name`."""
    lines = REQUIREMENTS.read_text().splitlines()
    return next(line for line in lines if line.startswith(name + "=="))


def step(title: str, command: list) -> None:
    """Run `command` with its output in the log; raise the fitting sentence when it fails."""
    print(f"setting up .venv: {title} ...", flush=True)
    with LOG.open("a") as log:
        environment = dict(os.environ, PYTHONNOUSERSITE="1", PIP_DISABLE_PIP_VERSION_CHECK="1")
        status = subprocess.call(command, stdout=log, stderr=log, cwd=str(ROOT), env=environment)
    if status:
        output = LOG.read_text(errors="replace")
        causes = [words for sign, words in TROUBLES if sign in output]
        cause = causes[0] if causes else f"{title} could not be set up: mend what the log says"
        raise SetupError(f"{cause}, then run make setup again (full output: {LOG.name})")


if __name__ == "__main__":
    sys.exit(main())
