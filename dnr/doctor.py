"""What this machine has, what would be used, and what is missing: the answers of `dnr doctor`."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import dnr

GIBIBYTE = 1 << 30
NEEDED_DISK_GIB = 1
PACKAGES = {  # distribution: the module it brings
    "av": "av",
    "fast-simplification": "fast_simplification",
    "numba": "numba",
    "numpy": "numpy",
    "opencv-python-headless": "cv2",
    "pillow": "PIL",
    "rich": "rich",
    "safetensors": "safetensors",
    "scikit-image": "skimage",
    "scipy": "scipy",
    "torch": "torch",
    "tyro": "tyro",
    "xatlas": "xatlas",
}


class Finding(NamedTuple):
    """One line of the answer."""

    subject: str
    text: str
    is_problem: bool = False  # the default path, CPU training and rendering, does not work


def examine(folder: Path, models: Path | None = None) -> list[Finding]:
    """Everything worth knowing, for work whose results go to `folder`.

    `models` is where the user's licensed files are, if not in their usual place.
    """
    findings = [
        Finding("dnr", dnr.__version__),
        Finding("Python", f"{platform.python_version()} on {platform.platform()}"),
        *_packages(),
    ]
    if not any(finding.is_problem for finding in findings):  # the rest cannot be asked without them
        findings += [*_processors(), _rasterizer(), *_optional(), *_models(models)]
    return [*findings, *_disk(folder)]


def _packages() -> list[Finding]:
    findings, versions = [], []
    for distribution, module in PACKAGES.items():
        try:
            import_module(module)
        except (ImportError, OSError) as error:  # OSError: a shared library does not load
            text = (
                f"{distribution} cannot be used ({error}); run make setup, or install it with pip"
            )
            findings.append(Finding("packages", text, is_problem=True))
        else:
            versions.append(f"{distribution} {version(distribution)}")
    return [Finding("packages", ", ".join(versions)), *findings]


def _processors() -> list[Finding]:
    import torch

    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / GIBIBYTE
    findings = [
        Finding(
            "CPU",
            f"{os.cpu_count()} cores; torch's threads: {torch.get_num_threads()} "
            "(OMP_NUM_THREADS changes that)",
        ),
        Finding("memory", f"{total:.1f} GiB"),
    ]
    if torch.cuda.is_available():
        device = torch.cuda.get_device_properties(0)
        text = f"{device.name}, {device.total_memory / GIBIBYTE:.1f} GiB; --device auto takes it"
    else:
        text = "none that torch can use; --device auto takes the CPU"
    return [*findings, Finding("CUDA", text)]


def _rasterizer() -> Finding:
    """The backend that `auto` takes, after it has drawn a triangle."""
    import torch

    from dnr.geometry.cameras import Camera, intrinsics_from_fov
    from dnr.raster.rasterize import choose_backend, rasterize

    vertices = torch.tensor([[-1.0, -1.0, 3.0], [1.0, -1.0, 3.0], [0.0, 1.0, 3.0]])
    if torch.cuda.is_available():
        vertices = vertices.cuda()
    camera = Camera(
        torch.eye(4).to(vertices)[None], intrinsics_from_fov(60, (8, 9), vertices), (8, 9)
    )
    backend = choose_backend("auto", vertices)
    try:
        seen = rasterize(vertices, torch.arange(3, device=vertices.device)[None], camera)
    except (ImportError, OSError, RuntimeError) as error:
        text = f"the {backend} rasterizer does not run ({error}); reinstall it with make setup"
        return Finding("rasterizer", text, is_problem=True)
    if seen.face_id[0, 4, 4] != 0:
        text = f"the {backend} rasterizer does not see a triangle; reinstall it with make setup"
        return Finding("rasterizer", text, is_problem=True)
    return Finding("rasterizer", backend)


def _optional() -> list[Finding]:
    from avatars.detectors.face_alignment import face_alignment_trouble
    from avatars.detectors.mediapipe import VERSION, mediapipe_trouble
    from dnr.training.metrics import lpips_or_none

    faces = mediapipe_trouble() or f"mediapipe {VERSION}, with its models"
    points = face_alignment_trouble() or "ready, with its weights"
    findings = [
        Finding(name, "installed" if find_spec(name) else "not installed; optional, for CUDA")
        for name in ("nvdiffrast", "pytorch3d")
    ]
    findings += [Finding("faces", faces)]
    findings += [Finding("68 points", f"face-alignment, optional: {points}")]
    return [*findings, Finding("lpips", lpips_or_none()[1])]


def _models(folder: Path | None) -> list[Finding]:
    from avatars.model_report import report_models

    return [Finding(subject, text) for subject, text in report_models(folder)]


def _disk(folder: Path) -> list[Finding]:
    free = shutil.disk_usage(folder).free / GIBIBYTE
    room = Finding("disk", f"{free:.1f} GiB free in {folder}")
    if free < NEEDED_DISK_GIB:
        text = f"only {free:.1f} GiB are free in {folder}; free at least {NEEDED_DISK_GIB} GiB"
        room = Finding("disk", text, is_problem=True)
    try:
        with tempfile.TemporaryFile(dir=folder):
            return [room]
    except OSError as error:
        text = f"{folder} cannot be written ({error.strerror}); work in a folder of your own"
        return [room, Finding("disk", text, is_problem=True)]
