"""Operations on parts of the mesh: hide, remove, move, turn, scale, duplicate."""

from __future__ import annotations

import numpy as np
from scipy.spatial import KDTree

from dnr.editing.canvas import Canvas
from dnr.editing.coarse import brought_to
from dnr.editing.fields import Fields
from dnr.editing.flatten import flattened, with_islands
from dnr.editing.instances import BODY, Instance, standing
from dnr.editing.poisson import solved
from dnr.editing.relight import relight
from dnr.editing.selections import STEP, read_selection

MOST_INSTANCES = 256


def hide(canvas: Canvas, fields: Fields) -> None:
    """A part disappears; what is behind it shows as it was captured."""
    faces = _read_faces(canvas, fields)
    fields.done()
    _stand(canvas, fields, {BODY: _without(canvas, fields, faces)})


def remove(canvas: Canvas, fields: Fields) -> None:
    """A part disappears with its shadow; what it hid from the photos is filled from around.

    Where it hangs together with the rest, a smooth surface spans the hole. Mirror images of it on
    other things stay.
    """
    faces = _read_faces(canvas, fields)
    margin = _read_margin(canvas, fields, faces)
    fields.done()
    changed = {}
    if _hangs_together(canvas, faces):
        mesh = canvas.original.mesh
        faces = with_islands(mesh, canvas.instances[BODY].faces, faces)
        patch = Instance(faces, np.eye(4), flattened(mesh, faces))
        changed[f"patch {len(canvas.instances)}"] = patch
    body = _without(canvas, fields, faces)
    _uncover(canvas, fields, changed | {BODY: body}, faces, margin)


def move(canvas: Canvas, fields: Fields) -> None:
    """A part, or an earlier copy by name, stands elsewhere; highlights and shadow go with it.

    What the part hid from the photos is filled, as when it is removed.
    """
    if "copy" in fields:
        name = fields.text("copy")
        if name not in canvas.instances or name == BODY:
            fields.refuse(f"there is no copy called {name!r}")
        old = canvas.instances[name]
        matrix = _read_matrix(canvas, fields, old) @ old.matrix
        fields.done()
        _stand_lit(canvas, fields, {name: old._replace(matrix=matrix)})
        return
    faces = _read_faces(canvas, fields)
    name = fields.text("name", f"moved {len(canvas.instances)}")
    there = Instance(faces, np.eye(4))
    there = Instance(faces, _read_matrix(canvas, fields, there))
    margin = _read_margin(canvas, fields, faces)
    fields.done()
    if _hangs_together(canvas, faces):
        fields.refuse(
            "this part hangs together with the rest of the mesh, and would leave a hole where it "
            "was; duplicate it instead, and remove the original"
        )
    _check_new(canvas, fields, name)
    body = _without(canvas, fields, faces)
    _uncover(canvas, fields, {BODY: body, name: there}, faces, margin)


def duplicate(canvas: Canvas, fields: Fields) -> None:
    """A copy of a part stands elsewhere. Both show the same texels: paint on one is on both."""
    faces = _read_faces(canvas, fields)
    name = fields.text("name", f"copy {len(canvas.instances)}")
    there = Instance(faces, np.eye(4))
    there = Instance(faces, _read_matrix(canvas, fields, there))
    fields.done()
    _check_new(canvas, fields, name)
    _stand_lit(canvas, fields, {name: there})


def _read_faces(canvas: Canvas, fields: Fields) -> np.ndarray:  # bool [F]
    """The captured faces most of whose texels are selected."""
    if "select" not in fields:
        fields.refuse("select is missing; say which part")
    share = read_selection(canvas, fields)
    atlas = canvas.atlas
    count = len(canvas.original.mesh)
    total = np.bincount(atlas.face, minlength=count)
    faces = np.bincount(atlas.face, share, count) > STEP * np.maximum(total, 1)
    # Faces too small for a texel go with the connected part that they are in, if it goes whole.
    without = total == 0
    part = canvas.part_of_face
    goes = np.bincount(part[~without], ~faces[~without], part.max() + 1) == 0
    faces |= without & goes[part]
    if not faces.any():
        fields.refuse("select is empty: no face of the mesh is in it")
    return faces


def _read_margin(canvas: Canvas, fields: Fields, faces: np.ndarray) -> float:
    """How far around a part its surroundings are filled; given as a share of the part's size."""
    mesh = canvas.original.mesh
    corners = mesh.vertices.cpu().numpy()[mesh.faces.cpu().numpy()[faces]].reshape(-1, 3)
    size = float(np.linalg.norm(corners.max(axis=0) - corners.min(axis=0)))
    return fields.number("margin", 0.08, 0, 10) * size


def _stand_lit(canvas: Canvas, fields: Fields, changed: dict[str, Instance]) -> None:
    """Let parts stand so, and move their shadows."""
    before = canvas.shading
    _stand(canvas, fields, changed)
    relight(canvas, before, np.zeros(len(before), bool))


def _uncover(
    canvas: Canvas, fields: Fields, changed: dict[str, Instance], faces: np.ndarray, margin: float
) -> None:
    """The same, and what `faces` had hidden, or touched, is filled."""
    before = canvas.shading
    _stand(canvas, fields, changed)
    position = canvas.atlas.position
    part = faces[canvas.atlas.face]
    near = KDTree(position[part]).query(position, distance_upper_bound=margin)[0]
    unknown = (part | np.isfinite(near) | (canvas.captured.max(axis=1) == 0)) & canvas.standing
    relight(canvas, before, unknown)
    if (part & unknown).any():  # the hole is spanned by the part's own faces
        _fill_features(canvas, faces)


def _fill_features(canvas: Canvas, faces: np.ndarray) -> None:
    """Let what only the renderer reads run in from around, too: gloss and relief."""
    lighting, atlas = canvas.lighting, canvas.atlas
    coarse = lighting.coarse
    inside = np.flatnonzero(coarse.inside & faces[coarse.face])
    old = canvas.features(coarse, np.arange(len(coarse.index)))
    new = old.copy()
    new[inside] = solved(lighting.beside, inside, old, np.zeros_like(old))
    texels = np.flatnonzero(faces[atlas.face])
    there = brought_to(atlas, coarse, new[coarse.owner], np.zeros(old.shape[1]))[texels]
    canvas.write_features(texels, there - canvas.features(atlas, texels))


def _without(canvas: Canvas, fields: Fields, faces: np.ndarray) -> Instance:
    body = canvas.instances[BODY]
    left = body.faces & ~faces
    if left.sum() == body.faces.sum():
        fields.refuse("this part is not there any more; it was hidden or moved before")
    if not left.any():
        fields.refuse("nothing would be left; select a part")
    return body._replace(faces=left)


def _hangs_together(canvas: Canvas, faces: np.ndarray) -> bool:
    """Whether the part shares vertices with the rest, so that a hole would be left."""
    corners = canvas.original.mesh.faces.cpu().numpy()
    rest = canvas.instances[BODY].faces & ~faces
    return bool(np.isin(corners[faces], corners[rest]).any())


def _check_new(canvas: Canvas, fields: Fields, name: str) -> None:
    if name in canvas.instances:
        fields.refuse(f"there is a part called {name!r} already; choose another name")
    if len(canvas.instances) >= MOST_INSTANCES:
        fields.refuse(f"there are {MOST_INSTANCES} parts already")


def _read_matrix(canvas: Canvas, fields: Fields, what: Instance) -> np.ndarray:  # [4, 4]
    """Turn about an axis and scale, both about the part's centre, then move, in mesh units."""
    axis = fields.numbers("axis", 3, default=[0.0, 0.0, 1.0])
    if not np.linalg.norm(axis) > 0:
        fields.refuse("axis must not be zero")
    x, y, z = axis / np.linalg.norm(axis)
    angle = np.deg2rad(fields.number("turn_deg", 0.0, -360, 360))
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    turn = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    linear = turn * fields.number("scale", 1.0, 0.01, 100)
    mesh = canvas.original.mesh
    corners = mesh.vertices.cpu().numpy()[mesh.faces.cpu().numpy()[what.faces]]
    points = what.points(corners.reshape(-1, 3))
    centre = (points.min(axis=0) + points.max(axis=0)) / 2
    matrix = np.eye(4)
    matrix[:3, :3] = linear
    shift = fields.numbers("by", 3, default=[0.0, 0.0, 0.0])
    matrix[:3, 3] = centre - linear @ centre + shift
    return matrix


def _stand(canvas: Canvas, fields: Fields, changed: dict[str, Instance]) -> None:
    instances = canvas.instances | changed
    mesh, turns = standing(canvas.original.mesh, instances)
    if np.abs(mesh.vertices.cpu().numpy()).max() > 1e9:
        fields.refuse("it would stand too far away")
    canvas.place(instances, mesh, turns)
