"""Meshes in run folders: index for index, and nothing that a hostile file could abuse."""

import io
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dnr.errors import InputError
from dnr.geometry.meshes import Mesh
from dnr.geometry.npz_files import load_npz, save_npz


@pytest.fixture
def path(small_mesh: Mesh, tmp_path: Path) -> Path:
    save_npz(tmp_path / "mesh.npz", small_mesh)
    return tmp_path / "mesh.npz"


def test_every_index_comes_back(path: Path, small_mesh: Mesh) -> None:
    loaded = load_npz(path)
    for name, value in vars(small_mesh).items():
        assert torch.equal(getattr(loaded, name), value), name


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"mesh.npz is missing; copy the whole run folder"):
        load_npz(tmp_path / "mesh.npz")


def arrays_of(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as arrays:
        return dict(arrays)


def saved(path: Path, arrays: dict[str, np.ndarray], save: Any = np.savez) -> None:
    with path.open("wb") as file:
        save(file, **arrays)


def changed(name: str, change: Callable[[np.ndarray], Any]) -> Callable[[Path], object]:
    """Saves the mesh again with one array replaced."""

    def spoil(path: Path) -> None:
        arrays = arrays_of(path)
        saved(path, arrays | {name: np.asanyarray(change(arrays[name]))})

    return spoil


def first_set(value: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(array: np.ndarray) -> np.ndarray:
        array[0, 0] = value
        return array

    return change


def declaring(path: Path, shape: str, compression: int = zipfile.ZIP_STORED) -> None:
    """Vertices whose header says `shape`, with a few bytes behind it."""
    arrays = arrays_of(path)
    del arrays["vertices"]
    saved(path, arrays)
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(1200)
    with zipfile.ZipFile(path, "a", compression) as archive:
        archive.writestr("vertices.npy", content)


def bomb(path: Path) -> None:
    saved(path, arrays_of(path) | {"filler": np.zeros(1 << 24, np.uint8)}, np.savez_compressed)


def overlapping(path: Path) -> None:
    """A directory whose members all lie over the same bytes."""
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w") as archive:
        archive.writestr("vertices.npy", bytes(1 << 16))
        for number in range(1000):
            archive.filelist.append(archive.filelist[0])
            archive.NameToInfo[f"{number}"] = archive.filelist[0]
    path.write_bytes(stored.getvalue())


def pickled(path: Path) -> None:
    changed("vertices", lambda a: a.astype(object))(path)


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 4] ^= 0xFF
    path.write_bytes(data)


BAD_MESHES: dict[str, tuple[str, Callable[[Path], object]]] = {
    "pickled objects": ("vertices is not a plain array|must be 3 columns", pickled),
    "nothing": ("damaged", lambda path: path.write_bytes(b"")),
    "a pickle": ("damaged", lambda path: path.write_bytes(pickle.dumps([1]))),
    "cut short": (
        "damaged",
        lambda path: path.write_bytes(path.read_bytes()[:-900]),
    ),
    "one byte flipped": ("damaged", flipped),
    "huge array": ("declares 900000000000 rows", lambda path: declaring(path, "(900000000000, 3)")),
    "huger array": ("not a plain array", lambda path: declaring(path, "(9" + "0" * 90 + ", 3)")),
    "nested header": ("not a plain array", lambda path: declaring(path, "(" * 9000)),
    "zip bomb": ("compressed", bomb),
    "overlapping members": ("declares more than it holds", overlapping),
    "one array missing": ("damaged", lambda path: np.savez(path, faces=np.eye(3))),
    "faces beyond the end": ("faces point outside", changed("faces", first_set(1 << 40))),
    "faces before the start": ("faces point outside", changed("faces", first_set(-1))),
    "uv faces beyond": ("uv_faces point outside", changed("uv_faces", first_set(10**6))),
    "huge normal index": ("normal_faces point outside", changed("normal_faces", first_set(2**62))),
    "fewer uv faces": ("uv_faces has", changed("uv_faces", lambda a: a[:-1])),
    "no faces": ("faces has 0 rows", changed("faces", lambda a: a[:0])),
    "faces of quads": ("must be 3 columns", changed("faces", lambda a: a.repeat(2, axis=1))),
    "faces as floats": ("must be 3 columns", changed("faces", lambda a: a.astype(np.float32))),
    "uvs of three": ("must be 2 columns", changed("uvs", lambda a: a.repeat(2, axis=1)[:, :3])),
    "flat vertices": ("not a plain array", changed("vertices", lambda a: a.reshape(-1))),
    "vertices in float64": ("must be 3 columns", changed("vertices", lambda a: a.astype(float))),
    "other byte order": ("not a plain array|must be", changed("faces", lambda a: a.astype(">i8"))),
    "NaN vertices": ("vertices are not finite", changed("vertices", first_set(np.nan))),
    "endless uvs": ("uvs are not finite", changed("uvs", first_set(np.inf))),
    "vertices that overflow": ("vertices are not", changed("vertices", first_set(1e30))),
}


@pytest.mark.parametrize("case", BAD_MESHES)
def test_bad_meshes_are_one_sentence(case: str, path: Path) -> None:
    words, spoil = BAD_MESHES[case]
    spoil(path)
    with pytest.raises(InputError, match=words) as caught:
        load_npz(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
