"""A folder with FLAME's files whose head is a real one: the shipped head, cut to FLAME's size."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from flame_files import FACES, VERTICES, write_flame

from avatars.detectors.faces import IBUG
from avatars.heads.files import load_head
from avatars.heads.head import Head
from avatars.heads.rotations import rotation_matrices

JAW_OPEN_RAD = 0.25
SHIFT = np.array([0.0, 0.02, -0.03])  # FLAME's origin is not between the eyes


def write_flame_like(folder: Path) -> None:
    """generic_model.pkl and landmark_embedding.npy. jawOpen is a joint, as in FLAME."""
    folder.mkdir(parents=True, exist_ok=True)
    head = load_head()
    keep, rows, faces = _cut(head)
    write_flame(folder / "generic_model.pkl", _arrays(head, keep, faces))
    place = {int(face): index for index, face in enumerate(rows)}
    marks = [place[int(head.landmark_faces[number])] for number in IBUG]
    weights = head.landmark_bary[list(IBUG)].double().numpy()
    table = {
        "static_lmk_faces_idx": np.array(marks[17:]),
        "static_lmk_bary_coords": weights[17:],
        "dynamic_lmk_faces_idx": torch.tensor([marks[:17]] * 79),
        "dynamic_lmk_bary_coords": torch.from_numpy(np.stack([weights[:17]] * 79)),
        "full_lmk_faces_idx": np.array([marks]),
        "full_lmk_bary_coords": weights[None],
    }
    np.save(folder / "landmark_embedding.npy", np.array(table, object), allow_pickle=True)


def write_flame_parts(folder: Path) -> None:
    """FLAME_masks.pkl and head_template.obj of the same head."""
    head = load_head()
    keep, _, faces = _cut(head)
    names = ("face", "lips", "neck", "scalp", "left_eyeball", "right_eyeball")
    parts = {name: np.flatnonzero(head.regions[name].numpy()[keep]) for name in names}
    parts["eye_region"] = np.flatnonzero(head.regions["eyelids"].numpy()[keep])
    ears = head.regions["ears"].numpy()[keep]
    side = head.template[keep, 0].numpy() > 0
    parts |= {"left_ear": np.flatnonzero(ears & side), "right_ear": np.flatnonzero(ears & ~side)}
    (folder / "FLAME_masks.pkl").write_bytes(pickle.dumps(parts, protocol=2))
    flat = head.template[keep, :2].numpy() + 0.5
    lines = [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in head.template[keep].tolist()]
    lines += [f"vt {u:.6f} {v:.6f}" for u, v in flat.tolist()]
    lines += ["f " + " ".join(f"{k + 1}/{k + 1}" for k in face) for face in faces.tolist()]
    (folder / "head_template.obj").write_text("\n".join(lines) + "\n")


def _cut(head: Head) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which vertices are kept, which faces, and these in FLAME's numbering, as many as FLAME's."""
    keep = np.ones(len(head.template), bool)
    shoulders = head.regions["shoulders"].nonzero()[:, 0].numpy()
    keep[shoulders[: len(head.template) - VERTICES]] = False
    new = np.cumsum(keep) - 1
    faces = head.faces.numpy()
    rows = np.flatnonzero(keep[faces].all(axis=1))
    kept = new[faces[rows]]
    padding = np.repeat(kept[:1], FACES - len(kept), axis=0)
    return keep, rows, np.concatenate([kept, padding])


def _arrays(head: Head, keep: np.ndarray, faces: np.ndarray) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(3)
    opened = head.expression[head.expression_names.index("jawOpen")]
    moves = head.expression.clone()
    moves[head.expression_names.index("jawOpen")] = 0
    mix = torch.linalg.qr(torch.randn(100, len(moves), generator=generator))[0]
    shapes = np.zeros((VERTICES, 3, 400))
    identity = head.identity[:, keep].numpy()
    shapes[..., : len(identity)] = identity.transpose(1, 2, 0)
    shapes[..., 300:] = torch.tensordot(mix, moves, dims=1)[:, keep].numpy().transpose(1, 2, 0)
    excess = rotation_matrices(torch.tensor([JAW_OPEN_RAD, 0, 0])) - torch.eye(3)
    correctives = np.zeros((VERTICES, 3, 36))
    correctives[..., 9 + 5] = (opened / excess[1, 2])[keep].numpy()
    joints = np.zeros((5, VERTICES))
    joints[3], joints[4] = head.eye_centre[1, keep], head.eye_centre[0, keep]
    joints[:3] = head.eye_centre[:, keep].mean(dim=0)
    joints /= joints.sum(axis=1, keepdims=True)
    weights = np.zeros((VERTICES, 5))
    weights[:, 1] = 1
    return {
        "v_template": head.template[keep].numpy() + SHIFT,
        "f": faces.astype(np.uint32),
        "shapedirs": shapes,
        "posedirs": correctives,
        "J_regressor": joints,
        "weights": weights,
        "kintree_table": np.array([[4294967295, 0, 1, 1, 1], range(5)], np.uint32),
    }
