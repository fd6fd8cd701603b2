"""Binary glTF 2.0: a scene of triangle lists in one file. Its uvs start at the top-left corner."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np

from dnr.geometry.mesh_arrays import MeshArrays, PointArrays, welded

_COMPONENTS = {5120: "i1", 5121: "u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3}
_FLOAT, _UINT = 5126, 5125
_COMPRESSED = {"KHR_draco_mesh_compression", "EXT_meshopt_compression"}
_JSON, _BIN = b"JSON", b"BIN\0"


def read_glb(data: bytes, most_faces: int) -> MeshArrays:
    """All triangles of the scene at their places. Raises `ValueError` on what is no such file.

    Skins, morphs and materials are not read. Uvs count only if all parts have them.
    """
    document, binary = _chunks(data)
    packed = _COMPRESSED & set(document.get("extensionsRequired", []))
    if packed:
        raise ValueError(f"it is compressed with {packed.pop()}; export it without compression")
    parts, num_faces = [], 0
    for mesh, to_scene in _placed_meshes(document):
        for primitive in document["meshes"][mesh]["primitives"]:
            part = _triangles(document, binary, primitive)
            if part is not None:
                parts.append(_moved(part, to_scene))
                num_faces += len(part.triangles)
            if num_faces > most_faces:  # a small file can place one mesh many times
                raise ValueError(f"it has more than {most_faces} triangles")
    if not parts:
        raise ValueError("it holds no triangles")
    starts = np.cumsum([0] + [len(part.positions) for part in parts])
    uvs = [part.uvs for part in parts if part.uvs is not None]
    return welded(
        PointArrays(
            np.concatenate([part.positions for part in parts]),
            None,
            np.concatenate(uvs) if len(uvs) == len(parts) else None,
            np.concatenate([p.triangles + s for p, s in zip(parts, starts, strict=False)]),
        )
    )


def glb_bytes(points: PointArrays) -> bytes:
    """One mesh, one node, no material."""
    parts = {"POSITION": points.positions, "NORMAL": points.normals, "TEXCOORD_0": points.uvs}
    if points.uvs is not None:
        parts["TEXCOORD_0"] = np.stack([points.uvs[:, 0], 1 - points.uvs[:, 1]], axis=1)
    there = {name: part.astype("<f4") for name, part in parts.items() if part is not None}
    blocks = [*there.values(), points.triangles.reshape(-1, 1).astype("<u4")]
    starts = np.cumsum([0] + [block.nbytes for block in blocks]).tolist()
    accessors: list[dict[str, Any]] = [
        {
            "bufferView": view,
            "componentType": _UINT if block.dtype == np.uint32 else _FLOAT,
            "count": len(block),
            "type": {1: "SCALAR", 2: "VEC2", 3: "VEC3"}[block.shape[1]],
        }
        for view, block in enumerate(blocks)
    ]
    accessors[0] |= {"min": blocks[0].min(0).tolist(), "max": blocks[0].max(0).tolist()}
    attributes = {name: view for view, name in enumerate(there)}
    document = {
        "asset": {"version": "2.0", "generator": "dnr"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": attributes, "indices": len(there)}]}],
        "accessors": accessors,
        "bufferViews": [
            {"buffer": 0, "byteOffset": start, "byteLength": block.nbytes}
            for start, block in zip(starts, blocks, strict=False)
        ],
        "buffers": [{"byteLength": starts[-1]}],
    }
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    body = struct.pack("<I4s", len(text), _JSON) + text
    body += struct.pack("<I4s", starts[-1], _BIN) + b"".join(block.tobytes() for block in blocks)
    return struct.pack("<4sII", b"glTF", 2, 12 + len(body)) + body


def _chunks(data: bytes) -> tuple[dict[str, Any], bytes]:
    """The document and the numbers it points into."""
    magic, version, length = struct.unpack_from("<4sII", data)
    if magic != b"glTF" or version != 2:
        raise ValueError("there is no glTF 2.0 header")
    if length > len(data):
        raise ValueError(f"it ends after {len(data)} of {length} bytes")
    chunks, place = {}, 12
    while place + 8 <= length:
        size, kind = struct.unpack_from("<I4s", data, place)
        chunks.setdefault(kind, data[place + 8 : place + 8 + size])
        place += 8 + size
    document = json.loads(chunks[_JSON])
    if not isinstance(document, dict):
        raise ValueError("its description is not a JSON object")
    return document, chunks.get(_BIN, b"")


def _placed_meshes(document: dict[str, Any]) -> list[tuple[int, np.ndarray]]:
    """Mesh numbers of the scene's nodes, each with its [4, 4] place."""
    scene = document["scenes"][document.get("scene", 0)]
    found, waiting, visited = [], [(node, np.eye(4)) for node in scene["nodes"]], set()
    while waiting:
        number, to_scene = waiting.pop()
        if number in visited:
            raise ValueError("its nodes are not a tree")
        visited.add(number)
        node = document["nodes"][number]
        to_scene = to_scene @ _node_matrix(node)
        found += [(node["mesh"], to_scene)] if "mesh" in node else []
        waiting += [(child, to_scene) for child in node.get("children", [])]
    return found


def _node_matrix(node: dict[str, Any]) -> np.ndarray:  # [4, 4]
    if "matrix" in node:
        return np.array(node["matrix"], float).reshape(4, 4).T  # stored column by column
    x, y, z, w = node.get("rotation", [0, 0, 0, 1])
    turn = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    matrix = np.eye(4)
    matrix[:3, :3] = turn * np.array(node.get("scale", [1, 1, 1]), float)
    matrix[:3, 3] = node.get("translation", [0, 0, 0])
    return matrix


def _triangles(
    document: dict[str, Any], binary: bytes, primitive: dict[str, Any]
) -> PointArrays | None:
    """One part of a mesh in its own frame; None for points and lines."""
    mode = primitive.get("mode", 4)
    if mode < 4:
        return None
    if mode > 4:
        raise ValueError("it holds triangle strips; export plain triangles")
    attributes = primitive["attributes"]
    positions = _accessor(document, binary, attributes["POSITION"]).astype(np.float64)
    index = np.arange(len(positions))
    if "indices" in primitive:
        index = _accessor(document, binary, primitive["indices"])[:, 0].astype(np.int64)
    if index.size and index.max() >= len(positions):
        raise ValueError(f"a triangle uses point {index.max()} of {len(positions)}")
    uvs = None
    if "TEXCOORD_0" in attributes:
        uvs = _accessor(document, binary, attributes["TEXCOORD_0"]).astype(np.float64)
        uvs[:, 1] = 1 - uvs[:, 1]
    return PointArrays(positions, None, uvs, index[: len(index) // 3 * 3].reshape(-1, 3))


def _accessor(document: dict[str, Any], binary: bytes, number: int) -> np.ndarray:  # [N, K]
    """Numbers as stored; normalised integers as fractions."""
    accessor = document["accessors"][number]
    if "sparse" in accessor or "bufferView" not in accessor:
        raise ValueError("it holds sparse numbers; export it without them")
    view = document["bufferViews"][accessor["bufferView"]]
    if "uri" in document["buffers"][view["buffer"]]:
        raise ValueError("its numbers lie in another file; export one self-contained .glb")
    kind, width = np.dtype(_COMPONENTS[accessor["componentType"]]), _WIDTHS[accessor["type"]]
    start = view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
    step = view.get("byteStride", kind.itemsize * width)
    count = accessor["count"]
    end = start + step * (count - 1) + kind.itemsize * width
    if min(start, count) < 0 or step < kind.itemsize * width or (count and end > len(binary)):
        raise ValueError("it ends before the numbers that it describes")
    values = np.ndarray((count, width), kind, binary, start, (step, kind.itemsize))
    if accessor.get("normalized") and kind.kind != "f":
        return np.maximum(values / np.iinfo(kind).max, -1)
    return values


def _moved(part: PointArrays, to_scene: np.ndarray) -> PointArrays:
    """The part at its place; mirrored ones keep their outside outside."""
    positions = part.positions @ to_scene[:3, :3].T + to_scene[:3, 3]
    mirrored = np.linalg.det(to_scene[:3, :3]) < 0
    return part._replace(
        positions=positions, triangles=part.triangles[:, ::-1] if mirrored else part.triangles
    )
