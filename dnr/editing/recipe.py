"""Edit recipes: JSON files with a list of operations, and the mesh that they were made for."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

from dnr.editing.fields import Fields
from dnr.editing.operations import names, operation_fields
from dnr.errors import InputError
from dnr.files import read_json, write_json
from dnr.geometry.meshes import Mesh

VERSION = 1
MOST_OPERATIONS = 10_000


def load_recipe(path: Path, mesh: Mesh) -> list[dict[str, Any]]:
    """The operations in a file, which must be known ones, made for this mesh if it says for which.

    What is inside an operation is checked when it is carried out.
    """
    value = read_json(path)
    if value.get("version") != VERSION:
        raise InputError(f'{path} must say "version": {VERSION}; this program reads no other')
    unknown = [name for name in value if name not in ("version", "mesh", "operations", "note")]
    if unknown:
        raise InputError(f"{path} holds {unknown[0][:60]!r}, which means nothing here; remove it")
    if "mesh" in value and value["mesh"] != mesh_hash(mesh):
        raise InputError(
            f"{path} was made for another mesh than this run's; use the run that it was made for, "
            'or remove "mesh" from it to try all the same'
        )
    operations = value.get("operations")
    if not isinstance(operations, list) or not 1 <= len(operations) <= MOST_OPERATIONS:
        raise InputError(f"{path} must hold a list of 1 to {MOST_OPERATIONS} operations")
    for number, operation in enumerate(operations, 1):
        check_operation(operation, number)
    return operations


def check_operation(operation: Any, number: int) -> None:
    """Raise unless it is an object that names a known operation."""
    if not isinstance(operation, dict):
        raise InputError(f"operation {number} must be an object ({{...}})")
    fields: Fields = operation_fields(operation, number)
    fields.choice("op", names())
    fields.flag("enabled", True)


def save_recipe(path: Path, operations: list[dict[str, Any]], mesh: Mesh) -> None:
    """Write the recipe, with the mesh that it belongs to."""
    write_json(path, {"version": VERSION, "mesh": mesh_hash(mesh), "operations": operations})


def mesh_hash(mesh: Mesh) -> str:
    """The same for meshes with the same faces in the same place of the texture."""
    digest = sha256()
    for values in (mesh.faces, mesh.uvs, mesh.uv_faces, mesh.vertices):
        digest.update(values.cpu().numpy().tobytes())
    return digest.hexdigest()[:32]
