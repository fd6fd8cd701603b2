"""Stanford PLY: a header, then points and polygons as text or as numbers of either byte order."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from dnr.geometry.mesh_arrays import MeshArrays, PointArrays, fans, welded

_KINDS = {  # PLY's names, old and new -> codes that struct and (with its size) NumPy know
    **{"char": "b", "uchar": "B", "short": "h", "ushort": "H", "int": "i", "uint": "I"},
    **{"int8": "b", "uint8": "B", "int16": "h", "uint16": "H", "int32": "i", "uint32": "I"},
    **{"float": "f", "double": "d", "float32": "f", "float64": "d"},
}
_UV_NAMES = [("texture_u", "texture_v"), ("s", "t"), ("u", "v")]  # tools do not agree
_LONGEST_HEADER = 1 << 16


class _Property(NamedTuple):
    name: str
    kind: str
    length_kind: str | None  # of a list


class _Element(NamedTuple):
    name: str
    count: int
    properties: list[_Property]


class _Column(NamedTuple):
    sizes: np.ndarray  # [count]; 1 for scalars
    values: np.ndarray  # [sum of sizes]


_Columns = dict[str, _Column]


def read_ply(data: bytes) -> MeshArrays:
    """Triangles with uvs per vertex or per corner. Raises `ValueError` on what is no such file."""
    order, elements, start = _header(data)
    found: dict[str, _Columns] = {}
    lines = iter(data[start:].split(b"\n") if order is None else [])
    for element in elements:
        if order is None:
            rows = [next(lines, b"").split() for _ in range(element.count)]
            found[element.name] = _columns(element, ([float(x) for x in row] for row in rows))
        else:
            found[element.name], start = _binary_columns(element, data, start, order)
    return _mesh(found.get("vertex", {}), found.get("face", {}))


def ply_bytes(points: PointArrays) -> bytes:
    """The points as binary PLY, least significant byte first."""
    named = {"x y z": points.positions, "nx ny nz": points.normals, "s t": points.uvs}
    there = {names: part for names, part in named.items() if part is not None}
    rows = np.concatenate(list(there.values()), axis=1).astype("<f4")
    faces = np.empty(len(points.triangles), [("size", "u1"), ("index", "<i4", 3)])
    faces["size"], faces["index"] = 3, points.triangles
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(rows)}"]
    header += [f"property float {name}" for names in there for name in names.split()]
    header += [f"element face {len(faces)}", "property list uchar int vertex_indices", "end_header"]
    return "\n".join(header).encode() + b"\n" + rows.tobytes() + faces.tobytes()


def _header(data: bytes) -> tuple[str | None, list[_Element], int]:
    """Byte order (None for text), elements, and where they start."""
    end = data.find(b"end_header", 0, _LONGEST_HEADER)
    if not data.startswith(b"ply") or end < 0:
        raise ValueError("there is no PLY header")
    order, elements = None, []
    for line in data[:end].decode("ascii", errors="replace").splitlines():
        match line.split():
            case ["format", form, *_]:
                order = {"ascii": None, "binary_little_endian": "<", "binary_big_endian": ">"}[form]
            case ["element", name, count]:
                elements.append(_Element(name, int(count), []))
                if not 0 <= int(count) <= len(data):
                    raise ValueError(f"it ends before the {count} rows of {name!r} it promises")
            case ["property", "list", length_kind, kind, name]:
                elements[-1].properties.append(_Property(name, _KINDS[kind], _KINDS[length_kind]))
            case ["property", kind, name]:
                elements[-1].properties.append(_Property(name, _KINDS[kind], None))
    return order, elements, data.index(b"\n", end) + 1


def _binary_columns(
    element: _Element, data: bytes, start: int, order: str
) -> tuple[_Columns, int]:  # and where the next element starts
    """Lists of one length throughout are read at once, others row by row."""
    first = next(_binary_rows(element, data, start, order), ([], start))[0]
    fields, sizes, place = [], {}, 0
    for name, kind, length_kind in element.properties if element.count else []:
        sizes[name] = int(first[place]) if length_kind else 1
        place += sizes[name] + bool(length_kind)
        fields += [(f"size of {name}", order + length_kind)] if length_kind else []
        fields += [(name, order + kind, (sizes[name],))]
    packed = np.dtype(fields)
    end = start + packed.itemsize * element.count
    if end <= len(data):
        table = np.frombuffer(data, packed, element.count, start)
        if all((table[f"size of {n}"] == sizes[n]).all() for n, _, k in element.properties if k):
            alike = {n: np.full(len(table), size) for n, size in sizes.items()}
            return {n: _Column(alike[n], table[n].reshape(-1)) for n in sizes}, end
    rows, ends = [], [start]
    for row, end in _binary_rows(element, data, start, order):
        rows.append(row)
        ends.append(end)
    return _columns(element, iter(rows)), ends[-1]


def _binary_rows(
    element: _Element, data: bytes, start: int, order: str
) -> Iterator[tuple[list[float], int]]:
    """Each row as its text would be: lists led by their length; and where it ends."""
    for _ in range(element.count):
        row: list[float] = []
        for _, kind, length_kind in element.properties:
            size = 1
            if length_kind:
                (size,) = struct.unpack_from(order + length_kind, data, start)
                start += struct.calcsize(order + length_kind)
                row.append(size)
            if not 0 <= size <= len(data) - start:
                raise ValueError("it ends in the middle of a list")
            values = struct.unpack_from(f"{order}{int(size)}{kind}", data, start)
            start += struct.calcsize(f"{order}{int(size)}{kind}")
            row.extend(values)
        yield row, start


def _columns(element: _Element, rows: Iterator[list[float]]) -> _Columns:
    sizes: dict[str, list[int]] = {p.name: [] for p in element.properties}
    values: dict[str, list[float]] = {p.name: [] for p in element.properties}
    for row in rows:
        place = 0
        for name, _, length_kind in element.properties:
            size = int(row[place]) if length_kind else 1
            place += bool(length_kind)
            if size < 0 or place + size > len(row):
                raise ValueError(f"a row of {element.name!r} is too short")
            sizes[name].append(size)
            values[name].extend(row[place : place + size])
            place += size
    return {n: _Column(np.array(sizes[n], np.int64), np.array(values[n])) for n in sizes}


def _mesh(vertex: _Columns, face: _Columns) -> MeshArrays:
    """Points and polygons as a mesh whose equal positions are one vertex."""
    positions = np.stack([vertex[name].values for name in "xyz"], axis=1)
    polygons = face.get("vertex_indices") or face.get("vertex_index")
    if polygons is None:
        raise ValueError("it has no faces, only points")
    corners = polygons.values.astype(np.int64)
    used = fans(polygons.sizes)
    if corners.size and not (corners.min() >= 0 and corners.max() < len(positions)):
        raise ValueError(f"a face uses point {corners.max()} of {len(positions)}")
    per_corner = face.get("texcoord")
    if per_corner is not None and (per_corner.sizes == 2 * polygons.sizes).all():
        uvs = per_corner.values.reshape(-1, 2)
        return welded(PointArrays(positions[corners], None, uvs, used))
    names = next((pair for pair in _UV_NAMES if pair[0] in vertex and pair[1] in vertex), None)
    uvs = np.stack([vertex[name].values for name in names], axis=1) if names else None
    return welded(PointArrays(positions, None, uvs, corners[used]))
