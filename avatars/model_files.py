"""Licensed files that users may have: their names, who gives them away, and where we look.

Nothing here is shipped or downloaded. One folder holds them all, in any arrangement: what
`--models` names, else the environment variable DNR_MODELS, else `dnr/models` in the user's cache.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from dnr.errors import InputError

SEARCH_DEPTH = 5  # folders below the models folder; a ROME checkout needs three
MPI = "Max Planck licence: non-commercial research, no passing on"
SAMSUNG = "Samsung licence: non-commercial research, nothing misleading"
FLAME_SITE = "flame.is.tue.mpg.de, after registration"
DECA_SITE = "the links in github.com/yfeng95/DECA"
ROME_SITE = "a checkout of github.com/SamsungLabs/rome"


class ModelFile(NamedTuple):
    """One thing that a user may have, under any of its names."""

    what: str
    names: tuple[str, ...]
    source: str
    licence: str


FLAME = ModelFile(
    "FLAME head model",
    (
        "generic_model.pkl",
        "flame2023.pkl",
        "flame2023_Open.pkl",
        "flame2023_no_jaw.pkl",
        "FLAME_NEUTRAL.pkl",
    ),
    FLAME_SITE,
    f"2020 and 2023: {MPI}; flame2023_Open.pkl: CC-BY 4.0",
)
FLAME_2020 = ModelFile(
    "FLAME 2020", ("generic_model.pkl", "FLAME_NEUTRAL.pkl"), FLAME_SITE, MPI
)  # what the weights of DECA and ROME were trained with; 2023 has other bases
LANDMARKS = ModelFile("FLAME landmarks", ("landmark_embedding.npy",), DECA_SITE, MPI)
TEMPLATE = ModelFile(
    "FLAME texture coordinates", ("head_template.obj", "head_template_mesh.obj"), DECA_SITE, MPI
)
MEDIAPIPE_POINTS = ModelFile(
    "mediapipe's points on FLAME",
    ("mediapipe_landmark_embedding.npz",),
    "a checkout of SMIRK or EMOCA",
    MPI,
)  # optional: makes the table between expressions more exact
MASKS = ModelFile("FLAME vertex masks", ("FLAME_masks.pkl",), FLAME_SITE, MPI)
DECA_WEIGHTS = ModelFile("DECA weights", ("deca_model.tar",), DECA_SITE, MPI)
EYE_MASK = ModelFile("DECA face mask", ("uv_face_eye_mask.png",), DECA_SITE, MPI)
FIXED_DISPLACEMENT = ModelFile("DECA relief", ("fixed_displacement_256.npy",), DECA_SITE, MPI)
ROME_WEIGHTS = ModelFile(
    "ROME weights", ("rome.pth",), "the links in github.com/SamsungLabs/rome", SAMSUNG
)
VGG19 = ModelFile(
    "VGG-19 weights",
    ("vgg19-dcbb9e9d.pth",),
    "torchvision's model page",
    "BSD-3, for the photos of ImageNet: research",
)  # optional: a perceptual loss for training ROME
ROME_FACES = ModelFile("ROME faces", ("faces_v2.pth",), ROME_SITE, SAMSUNG)
ROME_UV_FACES = ModelFile("ROME texture faces", ("uvfaces_v2.pth",), ROME_SITE, SAMSUNG)
ROME_VERTEX_UV = ModelFile("ROME vertex uvs", ("vertex_uvcoords.pth",), ROME_SITE, SAMSUNG)
ROME_HAIR = ModelFile("ROME hair vertices", ("hair_list.pkl",), ROME_SITE, SAMSUNG)
ROME_NECK = ModelFile("ROME neck vertices", ("neck_list.pkl",), ROME_SITE, SAMSUNG)
ROME_STILL = ModelFile("ROME fixed vertices", ("parametric_avatar.py",), ROME_SITE, SAMSUNG)
ROME_BASIS = ModelFile("ROME linear basis", ("u_full.pt",), ROME_SITE, SAMSUNG)
ROME_MEAN = ModelFile("ROME mean hair", ("mean_deform.pt",), ROME_SITE, SAMSUNG)
ROME_LINEAR = ModelFile(
    "ROME linear weights", ("linear_hair.pth",), "the links in github.com/SamsungLabs/rome", SAMSUNG
)

OPTIONAL = (MEDIAPIPE_POINTS, VGG19)
ENGINES: Mapping[str, tuple[ModelFile, ...]] = {
    "FLAME": (FLAME, LANDMARKS, TEMPLATE, MASKS),
    "DECA": (DECA_WEIGHTS, FLAME_2020, LANDMARKS, TEMPLATE, EYE_MASK, FIXED_DISPLACEMENT),
    "ROME": (
        ROME_WEIGHTS,
        DECA_WEIGHTS,
        FLAME_2020,
        LANDMARKS,
        TEMPLATE,
        ROME_FACES,
        ROME_UV_FACES,
        ROME_VERTEX_UV,
        ROME_HAIR,
        ROME_NECK,
        ROME_STILL,
    ),
    "ROME, linear": (ROME_LINEAR, ROME_BASIS, ROME_MEAN),  # beside what ROME itself needs
}


def models_folder(given: Path | None = None) -> Path:
    """Where users' files are looked for; it need not exist unless it was given by hand."""
    if given is not None:
        if not given.is_dir():
            raise InputError(f"--models {given} is not a folder; give the folder with your files")
        return given
    if "DNR_MODELS" in os.environ:
        return Path(os.environ["DNR_MODELS"])
    return user_cache() / "models"


def user_cache() -> Path:
    """Where this program may keep what it can make again."""
    if sys.platform == "darwin":
        cache = Path.home() / "Library" / "Caches"
    elif sys.platform == "win32":
        cache = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    else:
        cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return cache / "dnr"


def find_file(wanted: ModelFile, folder: Path) -> Path | None:
    """The file under `folder`: the first of its names that is there, least deep, then by name."""
    for name in wanted.names:
        for depth in range(SEARCH_DEPTH + 1):
            found = sorted(folder.glob("*/" * depth + name))
            if found:
                return found[0]
    return None


def need_file(wanted: ModelFile, folder: Path) -> Path:
    """The file under `folder`, or a refusal that says where to get it."""
    path = find_file(wanted, folder)
    if path is None:
        raise InputError(
            f"{wanted.what}: there is no {' or '.join(wanted.names)} in {folder}. Get it from "
            f"{wanted.source} ({wanted.licence}), or name its folder with --models."
        )
    return path


def missing_files(engine: str, folder: Path) -> list[ModelFile]:
    """What `engine` needs and `folder` does not have."""
    return [wanted for wanted in ENGINES[engine] if find_file(wanted, folder) is None]


class Choice(NamedTuple):
    """What animates a photo."""

    engine: Literal["built-in", "ROME", "ROME, linear"]
    why: str


def choose_engine(asked: str, folder: Path, has_gpu: bool) -> Choice:
    """The engine for `reenact.py --engine` (built-in, rome, rome-linear, or auto).

    auto takes ROME where all of its files are and a GPU carries it. Without one it takes some fifty
    times as long as the built-in engine, and nobody should wait for that without having asked.
    """
    if asked == "built-in":
        return Choice("built-in", "as asked")
    if asked in ("rome", "rome-linear"):
        return Choice("ROME" if asked == "rome" else "ROME, linear", "as asked")
    if missing_files("ROME", folder):
        return Choice("built-in", "not all of ROME's files are there; `dnr doctor` lists them")
    if not has_gpu:
        return Choice(
            "built-in", "ROME's files are there, but no GPU: --engine rome takes it, slowly"
        )
    return Choice("ROME", "all of its files and a GPU are there")
