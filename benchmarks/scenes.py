"""The bench scenes, made once, opened as training sees them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from dnr.capture.folder import load_capture, load_capture_mesh
from dnr.capture.photos import Photos, prepare_photos
from dnr.errors import InputError
from dnr.geometry.mesh_files import save_mesh
from dnr.geometry.meshes import Mesh
from dnr.progress import progress
from dnr.synthetic.captures import write_capture
from dnr.synthetic.config import SceneConfig
from dnr.synthetic.proxy import build_proxy
from dnr.synthetic.scenes import SKETCHES, build_scene

WRONG = "-wrong"
"""Names that end so have a tenth of the proxy's faces, displaced by a hundredth of its size."""


class OpenScene(NamedTuple):
    """A capture as training finds it once the photos are read."""

    mesh: Mesh
    photos: Photos  # for training
    held_out: Photos
    folder: Path  # for what training puts on disk


def scene_config(name: str, like: SceneConfig) -> SceneConfig:
    """The bench scene called `name`, with the sizes and numbers of `like`."""
    plain = name.removesuffix(WRONG)
    if plain not in SKETCHES:
        raise InputError(f"there is no scene {name}; choose from {', '.join(SKETCHES)}")
    config = replace(like, scene=plain)  # type: ignore[arg-type]
    return replace(config, decimate=0.1, displace=0.01) if name.endswith(WRONG) else config


def capture_folder(config: SceneConfig, out: Path) -> Path:
    """The capture of `config` inside `out`, with an exact proxy; made if it is not there yet."""
    exact = replace(config, decimate=1.0, displace=0.0)
    shape = "x".join(map(str, exact.size))
    folder = out / "captures" / f"{exact.scene}-{shape}-{exact.num_train}-{exact.num_test}"
    with progress(1, f"capture {folder.name}") as shown:
        write_capture(folder, exact)
        shown.update(1)
    return folder


def proxy_file(config: SceneConfig, capture: Path) -> Path | None:
    """Where the proxy of `config` lies, beside its capture; None for the capture's own."""
    if config.decimate == 1 and config.displace == 0:
        return None
    name = f"{capture.name}-{config.decimate:g}-{config.displace:g}.obj"
    path = capture.parent / name
    if not path.is_file():
        save_mesh(path, build_proxy(build_scene(config), config))
    return path


@contextmanager
def open_scene(
    config: SceneConfig, out: Path, every: int = 1, height: int | None = None
) -> Iterator[OpenScene]:
    """Photos on disk, `height` pixels high, while the block runs; each `every`-th is trained on.

    Photos do not depend on the proxy, so captures are shared by all proxies.
    """
    source = capture_folder(config, out)
    capture = load_capture(source, proxy_file(config, source))
    mesh, _ = load_capture_mesh(capture)
    with tempfile.TemporaryDirectory(dir=out) as scratch:
        folder = Path(scratch)
        photos = prepare_photos(capture, folder / "photos", height)
        train = photos.of("train")
        train = train.chosen(range(0, len(train), every))
        yield OpenScene(mesh, train, photos.of("test"), folder)
