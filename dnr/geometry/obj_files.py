"""Wavefront OBJ: text with separate indices for position, uv and normal."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from dnr.errors import InputError
from dnr.geometry.mesh_arrays import MeshArrays, fans
from dnr.geometry.meshes import Mesh


def read_obj(path: Path, most_faces: int) -> MeshArrays:
    """Positions, uvs and faces of all objects in the file; polygons become fans of triangles.

    Normals, groups and materials are not read. Raises `ValueError` on lines that make no sense.
    """
    vertices, uvs, sizes, corners = array("d"), array("d"), array("q"), array("q")
    number_of: dict[str, int] = {}  # "7/3/1" -> row of the table of distinct corners
    for line in _lines(path):
        kind, *words = line.split()
        if kind == "v" and len(words) >= 3:
            vertices.extend(map(float, words[:3]))
        elif kind == "vt" and words:
            uvs.extend(map(float, (*words, "0")[:2]))
        elif kind == "f":
            if "-" in line:  # counted backwards from here
                words = [_absolute(word, len(vertices) // 3, len(uvs) // 2) for word in words]
            sizes.append(len(words))
            corners.extend([number_of.setdefault(word, len(number_of)) for word in words])
            if len(corners) - 2 * len(sizes) > most_faces:
                raise InputError(
                    f"{path} has more than {most_faces} triangles. Simplify the mesh first."
                )
        elif kind == "v":
            raise ValueError(f"a vertex needs three numbers, got {line.strip()[:60]!r}")
    table = np.array([_indices(word) for word in number_of], np.int64).reshape(-1, 2)
    used = np.frombuffer(corners, np.int64)[fans(np.frombuffer(sizes, np.int64))]
    return MeshArrays(
        np.frombuffer(vertices).reshape(-1, 3),
        table[used, 0],
        np.frombuffer(uvs).reshape(-1, 2),
        table[used, 1],
    )


def obj_text(mesh: Mesh) -> str:
    """The mesh as OBJ; float32 coordinates come back bit by bit."""
    normals = mesh.normals()
    text = _rows("v %.9g %.9g %.9g", mesh.vertices.detach().cpu().numpy())
    has_uvs = len(mesh.uvs) > 0 and bool((mesh.uv_faces >= 0).all())
    if has_uvs:
        text += _rows("vt %.9g %.9g", mesh.uvs.detach().cpu().numpy())
    text += _rows("vn %.6g %.6g %.6g", normals.detach().cpu().numpy())
    index = [mesh.faces, mesh.uv_faces, mesh.normal_faces] if has_uvs else None
    index = index or [mesh.faces, mesh.normal_faces]
    corner = " %d/%d/%d" if has_uvs else " %d//%d"
    columns = np.stack([i.cpu().numpy() for i in index], axis=-1).reshape(len(mesh), -1)
    return text + _rows("f" + 3 * corner, columns + 1)  # OBJ counts from 1


def _rows(pattern: str, table: np.ndarray) -> str:
    return ((pattern + "\n") * len(table)) % tuple(table.reshape(-1).tolist())


def _lines(path: Path) -> Iterator[str]:
    """Lines that say something, those that end in a backslash joined with the next."""
    held = ""
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.endswith("\\\n"):
                held += line[:-2] + " "
                continue
            text, held = held + line, ""
            if not text.isspace():
                yield text


def _absolute(word: str, num_vertices: int, num_uvs: int) -> str:
    """The same corner with indices that count from the start of the file."""
    parts = word.split("/")
    for place, count in enumerate([num_vertices, num_uvs][: len(parts)]):
        if parts[place].startswith("-"):
            parts[place] = str(count + 1 + int(parts[place]))
    return "/".join(parts)


def _indices(word: str) -> tuple[int, int]:
    """Vertex and uv of a corner, counted from 0. No uv is -1; an index that is no index is -2."""
    parts = word.split("/")
    uv = int(parts[1]) if len(parts) > 1 and parts[1] else 0
    no_uv = len(parts) < 2 or not parts[1]
    return int(parts[0]) - 1, -1 if no_uv else uv - 1 if uv > 0 else -2
