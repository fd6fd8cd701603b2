"""The import order is the reading order, and files stay short, well named and free of places."""

import ast
import re
import shutil
import subprocess
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
READING_ORDER = [  # a room may import itself and what is above it
    "dnr.errors",
    "dnr.commands",
    "dnr.shapes",
    "dnr.words",
    "dnr.files",
    "dnr.array_files",
    "dnr.tensor_files",
    "dnr.device",
    "dnr.progress",
    "dnr.images",
    "dnr.video",
    "dnr.hdr",
    "dnr.footage",
    "dnr.geometry",
    "dnr.raster",
    "dnr.textures",
    "dnr.renderers",
    "dnr.asset",
    "dnr.clips",
    "dnr.capture",
    "dnr.synthetic",
    "dnr.training",
    "dnr.editing",
    "dnr.demo",
    "avatars",
    "dnr.doctor",
    "dnr.cli",
]
DOORS = {"dnr.doctor", "dnr.cli"}  # of the whole house: they may open both packages
MAX_LINES = 300
VAGUE = {"utils", "util", "helpers", "helper", "misc", "common", "base", "manager", "wrapper"}
PLACE = re.compile(r"(?<![\w.])/(?:work|root|home|Users|opt|tmp|mnt|media|srv)/\w|[A-Z]:\\Users")
TEXT = {".py", ".md", ".txt", ".toml", ".json", ".yml", ".html", ".css", ".js", ".cfg", ""}


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {
    dotted(path): path
    for package in ("dnr", "avatars")
    for path in sorted((ROOT / package).rglob("*.py"))
}


def imports(path: Path) -> set[str]:
    """Our own modules that the file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} has a relative import; write the full path"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else str(node.module) for name in names}
    return {name for name in found if name.split(".")[0] in ("dnr", "avatars")}


def room(module: str) -> int:
    """Position in the reading order."""
    for position, name in enumerate(READING_ORDER):
        if f"{module}.".startswith(f"{name}."):
            return position
    raise AssertionError(f"{module} is in no room of READING_ORDER; add it where it is read")


def files() -> list[Path]:
    """Everything that is, or is about to be, under version control."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    command = [git, "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in names.splitlines() if (ROOT / name).is_file()]


def test_every_module_imports_only_what_is_above_it() -> None:
    for module, path in MODULES.items():
        if module == "dnr":
            continue  # the package itself only names its public parts
        for other in imports(path) - {"dnr"}:
            assert room(other) <= room(module), (
                f"{module} imports {other}: move the shared part up, or reorder the list"
            )


def test_no_module_imports_itself_by_a_detour() -> None:
    graph = {module: imports(path) - {"dnr"} for module, path in MODULES.items()}
    tuple(TopologicalSorter(graph).static_order())  # raises CycleError, which names the cycle


def test_dnr_knows_nothing_about_heads() -> None:
    for module, path in MODULES.items():
        if module.startswith("dnr") and module not in DOORS:
            wrong = {name for name in imports(path) if name.startswith("avatars")}
            assert not wrong, f"{module} imports {wrong}"


def test_files_are_short_and_named_after_what_they_own() -> None:
    for path in files():
        vague = VAGUE & set(re.split(r"[/_.]", str(path.relative_to(ROOT))))
        assert not vague, f"{path.relative_to(ROOT)}: name it after what it owns, not {vague}"
        if path.suffix == ".py":
            lines = len(path.read_text().splitlines())
            assert lines <= MAX_LINES, f"{path.relative_to(ROOT)} has {lines} lines: split it"


def test_no_text_names_a_place_on_somebodys_machine() -> None:
    for path in files():
        if path.suffix in TEXT:
            found = PLACE.search(path.read_text(errors="replace"))
            assert not found, f"{path.relative_to(ROOT)} names the place {found and found.group()}"


def test_links_in_texts_lead_somewhere() -> None:
    texts = [path for path in files() if path.suffix == ".md"]
    assert len(texts) > 3
    for path in texts:
        for target in re.findall(r"\]\(([^)#\s]+)", path.read_text()):
            if not target.startswith("http"):
                assert (path.parent / target).exists(), f"{path.relative_to(ROOT)}: {target}"
