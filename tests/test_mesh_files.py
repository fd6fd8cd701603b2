"""Mesh files against hand-written bytes, against trimesh, and against files that lie."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from trimesh.visual import TextureVisuals
from trimesh.visual.material import PBRMaterial

from dnr.errors import InputError
from dnr.geometry.glb_files import glb_bytes
from dnr.geometry.mesh_arrays import PointArrays, fans
from dnr.geometry.mesh_files import SUFFIXES, load_mesh, save_mesh
from dnr.geometry.meshes import Mesh
from dnr.geometry.smoothing_groups import make_mesh

TRIANGLE = "v 0 0 0\nv 1 0 0\nv 0 1 0\n"


@pytest.fixture
def seamed(rng: np.random.Generator) -> Mesh:
    """A dented sphere whose left and right half are charts of their own, with a seam between."""
    sphere = trimesh.creation.icosphere(subdivisions=2)
    vertices = np.array(sphere.vertices) * rng.uniform(0.8, 1.2, (len(sphere.vertices), 1))
    side = sphere.vertices[sphere.faces].mean(axis=1)[:, 0] > 0
    plane = 0.25 + 0.2 * sphere.vertices[:, 1:]
    uvs = np.concatenate([plane, plane + np.array([0.5, 0.1])])
    uv_faces = sphere.faces + side[:, None] * len(vertices)
    return make_mesh(
        torch.tensor(vertices, dtype=torch.float32),
        torch.tensor(np.array(sphere.faces)),
        torch.tensor(uvs, dtype=torch.float32),
        torch.tensor(uv_faces),
    )


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_is_written_is_read_again(seamed: Mesh, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"mesh{suffix.upper()}"
    save_mesh(path, seamed)
    mesh = load_mesh(path)
    assert torch.equal(mesh.vertices[mesh.faces], seamed.vertices[seamed.faces])
    torch.testing.assert_close(mesh.uvs[mesh.uv_faces], seamed.uvs[seamed.uv_faces])
    assert len(mesh.vertices) == len(seamed.vertices), "seams must be welded"
    assert len(mesh.uvs) == len(seamed.uv_faces.unique()) or suffix == ".obj"
    torch.testing.assert_close(
        mesh.normals()[mesh.normal_faces], seamed.normals()[seamed.normal_faces]
    )


def test_obj_keeps_every_index(seamed: Mesh, tmp_path: Path) -> None:
    save_mesh(tmp_path / "mesh.obj", seamed)
    mesh = load_mesh(tmp_path / "mesh.obj")
    for name in ("vertices", "faces", "uvs", "uv_faces"):
        assert torch.equal(getattr(mesh, name), getattr(seamed, name)), name


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_others_read_what_we_write(seamed: Mesh, suffix: str, tmp_path: Path) -> None:
    save_mesh(tmp_path / f"mesh{suffix}", seamed)
    other = trimesh.load_mesh(tmp_path / f"mesh{suffix}", process=False)
    np.testing.assert_allclose(
        other.vertices[other.faces], seamed.vertices[seamed.faces].numpy(), atol=1e-6
    )
    if suffix == ".ply":  # trimesh gives uvs only to GLB parts with a material
        assert isinstance(other.visual, TextureVisuals)
        assert other.visual.uv is not None
        np.testing.assert_allclose(
            other.visual.uv[other.faces], seamed.uvs[seamed.uv_faces].numpy(), atol=1e-6
        )


def test_normals_are_written_for_others(seamed: Mesh, tmp_path: Path) -> None:
    """We compute ours again; programs that show the mesh take them from the file."""
    expected = seamed.normals()[seamed.normal_faces].numpy()
    save_mesh(tmp_path / "mesh.ply", seamed)
    body = (tmp_path / "mesh.ply").read_bytes().split(b"end_header\n", 1)[1]
    faces = np.frombuffer(body[-13 * len(seamed) :], [("size", "u1"), ("index", "<i4", 3)])
    points = np.frombuffer(body[: -13 * len(seamed)], "<f4").reshape(-1, 8)
    np.testing.assert_allclose(points[faces["index"], 3:6], expected, atol=1e-6)
    save_mesh(tmp_path / "mesh.obj", seamed)
    lines = [line.split() for line in (tmp_path / "mesh.obj").read_text().splitlines()]
    normals = np.array([line[1:] for line in lines if line[0] == "vn"], float)
    index = [[int(c.split("/")[2]) - 1 for c in line[1:]] for line in lines if line[0] == "f"]
    np.testing.assert_allclose(normals[index], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("suffix", "encoding"), [(".ply", "ascii"), (".ply", "binary"), (".glb", "")]
)
def test_we_read_what_others_write(
    seamed: Mesh, suffix: str, encoding: str, tmp_path: Path
) -> None:
    corners = seamed.vertices[seamed.faces].reshape(-1, 3).numpy()
    uv = seamed.uvs[seamed.uv_faces].reshape(-1, 2).numpy()
    material = PBRMaterial()
    shape = trimesh.Trimesh(corners, np.arange(len(corners)).reshape(-1, 3), process=False)
    shape.visual = TextureVisuals(uv=uv, material=material)
    options = {"encoding": encoding} if encoding else {}
    shape.export(tmp_path / f"mesh{suffix}", **options)
    mesh = load_mesh(tmp_path / f"mesh{suffix}")
    np.testing.assert_allclose(mesh.vertices[mesh.faces].reshape(-1, 3).numpy(), corners, atol=1e-6)
    np.testing.assert_allclose(mesh.uvs[mesh.uv_faces].reshape(-1, 2).numpy(), uv, atol=1e-6)


def test_obj_in_all_its_spellings(tmp_path: Path) -> None:
    path = tmp_path / "mesh.obj"
    path.write_text(
        "# a comment \u00e9\nmtllib x.mtl\nv 0 0 0 1 0.5 0.5\nv 1 0 0\nv 1 1 0\nv 0 1 0\n"
        "vt 0 0\nvt 1 0 0\nvt 1 1\nvn 0 0 1\ng quad\ns off\n"
        "f 1/1 2/2 \\\n3/3 4/1\nf -4/-3/-1 -3/-2/-1 -2/-1/-1\nf 1/1/1 3/3/1 4/2/1\nl 1 2\n"
    )
    mesh = load_mesh(path)
    assert mesh.faces.tolist() == [[0, 1, 2], [0, 2, 3], [0, 1, 2], [0, 2, 3]]
    assert mesh.uv_faces.tolist() == [[0, 1, 2], [0, 2, 0], [0, 1, 2], [0, 2, 1]]


@pytest.mark.parametrize("face", ["f 1 2 3", "f 1// 2// 3//", "f 1//1 2//1 3//1"])
def test_obj_without_uvs(face: str, tmp_path: Path) -> None:
    (tmp_path / "mesh.obj").write_text(f"{TRIANGLE}vn 0 0 1\n{face}\n")
    mesh = load_mesh(tmp_path / "mesh.obj")
    assert mesh.faces.tolist() == [[0, 1, 2]]
    assert len(mesh.uvs) == 0
    assert mesh.uv_faces.tolist() == [[-1, -1, -1]]


def test_polygons_become_fans() -> None:
    expected = [[0, 1, 2], [3, 4, 5], [3, 5, 6], [3, 6, 7], [10, 11, 12]]
    assert fans(np.array([3, 5, 2, 3])).tolist() == expected


def test_ply_with_mixed_polygons_and_uvs_per_corner(tmp_path: Path) -> None:
    header = (
        "ply\nformat binary_big_endian 1.0\ncomment made by hand\nelement vertex 4\n"
        "property double x\nproperty double y\nproperty float z\nelement face 2\n"
        "property uchar flags\nproperty list uchar uint vertex_index\n"
        "property list uchar float texcoord\nend_header\n"
    )
    points = b"".join(struct.pack(">ddf", *p) for p in [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)])
    quad = struct.pack(">BB4IB8f", 7, 4, 0, 1, 2, 3, 8, 0, 0, 0.5, 0, 0.5, 0.5, 0, 0.5)
    triangle = struct.pack(">BB3IB6f", 7, 3, 0, 2, 3, 6, 0, 0, 0.5, 0.5, 1, 1)
    (tmp_path / "mesh.ply").write_bytes(header.encode() + points + quad + triangle)
    mesh = load_mesh(tmp_path / "mesh.ply")
    assert mesh.faces.tolist() == [[0, 1, 2], [0, 2, 3], [0, 2, 3]]
    assert mesh.uvs[mesh.uv_faces[1]].tolist() == [[0, 0], [0.5, 0.5], [0, 0.5]]
    assert mesh.uvs[mesh.uv_faces[2]].tolist() == [[0, 0], [0.5, 0.5], [1, 1]]


def one_triangle(**node: object) -> bytes:
    """A GLB whose only node has the given place."""
    points = PointArrays(
        np.eye(3), None, np.array([[0.1, 0.2], [0.3, 0.2], [0.1, 0.9]]), np.array([[0, 1, 2]])
    )
    return edited_glb(glb_bytes(points), nodes=[{"mesh": 0, **node}])


def edited_glb(data: bytes, **changes: object) -> bytes:
    length = struct.unpack_from("<I", data, 12)[0]
    document = json.loads(data[20 : 20 + length]) | changes
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    body = struct.pack("<I4s", len(text), b"JSON") + text + data[20 + length :]
    return struct.pack("<4sII", b"glTF", 2, 12 + len(body)) + body


def test_glb_uvs_start_at_the_top(tmp_path: Path) -> None:
    data = one_triangle()
    start = 28 + struct.unpack_from("<I", data, 12)[0]  # after both chunk headers
    stored = np.frombuffer(data, "<f4", 6, start + 36).reshape(3, 2)
    np.testing.assert_allclose(stored, [[0.1, 0.8], [0.3, 0.8], [0.1, 0.1]], atol=1e-6)


def test_glb_nodes_stand_where_their_parents_put_them(tmp_path: Path) -> None:
    path = tmp_path / "mesh.glb"
    turn = {"rotation": [0, 0, 2**-0.5, 2**-0.5]}  # a quarter turn about z
    nodes = [{"mesh": 0, "scale": [2, 1, -1]}, {"children": [0], **turn, "translation": [0, 0, 5]}]
    path.write_bytes(edited_glb(one_triangle(), nodes=nodes, scenes=[{"nodes": [1]}]))
    mesh = load_mesh(path)
    corners = mesh.vertices[mesh.faces[0]].tolist()
    placed = [[0, 2, 5], [-1, 0, 5], [0, 0, 4]]
    np.testing.assert_allclose(corners, placed[::-1], atol=1e-6)  # mirrored: turned around
    matrix = [0, 2, 0, 0, -1, 0, 0, 0, 0, 0, 1, 0, 3, 4, 5, 1]  # column by column
    path.write_bytes(one_triangle(matrix=matrix))
    mesh = load_mesh(path)
    placed = [[3, 6, 5], [2, 4, 5], [3, 4, 6]]
    np.testing.assert_allclose(mesh.vertices[mesh.faces[0]].tolist(), placed, atol=1e-6)


HOSTILE_OBJ = {
    "empty": "",
    "no faces": TRIANGLE,
    "NaN": "v 0 0 nan\nv 1 0 0\nv 0 1 0\nf 1 2 3\n",
    "infinite": "v 0 0 inf\nv 1 0 0\nv 0 1 0\nf 1 2 3\n",
    "huge": "v 0 0 1e30\nv 1 0 0\nv 0 1 0\nf 1 2 3\n",
    "index too high": TRIANGLE + "f 1 2 4\n",
    "index zero": TRIANGLE + "f 0 1 2\n",
    "index too low": TRIANGLE + "f -1 -2 -4\n",
    "uv too high": TRIANGLE + "vt 0 0\nf 1/1 2/1 3/2\n",
    "uv too low": TRIANGLE + "vt 0 0\nf 1/-2 2/1 3/1\n",
    "cut short": "v 0 0 0\nv 1 0",
    "words": TRIANGLE + "f a b c\n",
    "a line": "v 0 0 0\nv 1 0 0\nv 2 0 0\nf 1 2 3\n",
    "an image": "\x89PNG\r\n\x1a\n\0\0\0\rIHDR" * 50,
}


@pytest.mark.parametrize("text", HOSTILE_OBJ.values(), ids=HOSTILE_OBJ.keys())
def test_bad_obj_files_are_named(text: str, tmp_path: Path) -> None:
    path = tmp_path / "mesh.obj"
    path.write_text(text)
    with pytest.raises(InputError, match=r"mesh\.obj .*\. "):
        load_mesh(path)


@pytest.mark.parametrize("suffix", [".ply", ".glb"])
def test_files_cut_anywhere_are_named(seamed: Mesh, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"mesh{suffix}"
    save_mesh(path, seamed)
    data = path.read_bytes()
    for length in [*range(0, 600, 37), *range(600, len(data), len(data) // 9), len(data) - 1]:
        path.write_bytes(data[:length])
        with pytest.raises(InputError, match="mesh"):
            load_mesh(path)


def accessors(**changes: object) -> bytes:
    data = one_triangle()
    length = struct.unpack_from("<I", data, 12)[0]
    found = json.loads(data[20 : 20 + length])["accessors"]
    return edited_glb(data, accessors=[{**found[0], **changes}, *found[1:]])


PLY = b"ply\nformat binary_little_endian 1.0\nelement vertex %d\nproperty float x\n"
HOSTILE = {
    "count.glb": accessors(count=10**12),
    "negative.glb": accessors(count=-1),
    "kind.glb": accessors(componentType=7),
    "sparse.glb": accessors(bufferView=None, sparse={}),
    "circle.glb": edited_glb(one_triangle(), nodes=[{"mesh": 0, "children": [0]}]),
    "draco.glb": edited_glb(one_triangle(), extensionsRequired=["KHR_draco_mesh_compression"]),
    "list.glb": struct.pack("<4sIII4s", b"glTF", 2, 24, 4, b"JSON") + b"[1] ",
    "deep.glb": struct.pack("<4sIII4s", b"glTF", 2, 400020, 400000, b"JSON") + b"[" * 400000,
    "many.ply": PLY % 10**15 + b"end_header\n",
    "short.ply": PLY % 3 + b"property float y\nproperty float z\nend_header\n" + bytes(7),
    "flat.ply": PLY % 1 + b"end_header\n" + bytes(4),
    "points.ply": PLY % 1 + b"property float y\nproperty float z\nend_header\n" + bytes(12),
    "text.ply": b"ply\nformat ascii 1.0\nelement face 9\nproperty list uchar int vertex_index\n"
    b"end_header\n900000000 1 2 3\n",
    "other.ply": b"not a mesh",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_files_that_lie_are_named(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(HOSTILE[name])
    with pytest.raises(InputError, match=name):
        load_mesh(tmp_path / name)


def test_missing_and_unknown_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no mesh at"):
        load_mesh(tmp_path / "mesh.obj")
    with pytest.raises(InputError, match=r"Use \.obj, \.ply or \.glb"):
        load_mesh(tmp_path / "mesh.stl")
