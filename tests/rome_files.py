"""A folder with everything that ROME needs: published layouts, random numbers."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import torch
from flame_files import VERTICES, flame_arrays, landmark_table, write_flame
from published_nets import constants

from avatars.deca.networks import Deca
from avatars.rome.linear import HairRegressor
from avatars.rome.networks import Rome

UVS, FACES = 5118, 10006
HAIR, NECK = range(100, 446), range(3300, 3678)
PROGRAM = """
import sys
raise SystemExit("this must not run")
hard_not_deform_list = [3587, 3594,
                        3371, 3372]
exclude_list = [3371]
"""


def write_rome_folder(folder: Path, rng: np.random.Generator) -> None:
    """Every file; the networks' weights are one number each."""
    (folder / "src").mkdir(parents=True)
    (folder / "data").mkdir()
    data = folder / "data"
    write_flame(data / "generic_model.pkl", flame_arrays(rng))
    marks = np.array(landmark_table(rng), object)
    np.save(data / "landmark_embedding.npy", marks, allow_pickle=True)
    uv = rng.random((UVS, 2))
    lines = [f"v {x:.4f} {y:.4f} {z:.4f}" for x, y, z in rng.normal(size=(VERTICES, 3))]
    lines += [f"vt {u:.6f} {v:.6f}" for u, v in uv]
    faces = rng.permuted(np.tile(np.arange(1, VERTICES + 1), (9976, 1))[:, :3], axis=1)
    lines += [f"f {a}/{a} {b}/{b} {c}/{c}" for a, b, c in faces[:5]]
    (data / "head_template.obj").write_text("\n".join(lines))
    torch.save(torch.from_numpy(rng.integers(0, VERTICES, (1, FACES, 3))), data / "faces_v2.pth")
    torch.save(torch.from_numpy(rng.integers(0, UVS, (1, FACES, 3))), data / "uvfaces_v2.pth")
    torch.save(torch.rand(1, VERTICES, 2) * 2 - 1, data / "vertex_uvcoords.pth")
    (data / "hair_list.pkl").write_bytes(pickle.dumps(list(HAIR)))
    (data / "neck_list.pkl").write_bytes(pickle.dumps(np.array(NECK)))
    (folder / "src" / "parametric_avatar.py").write_text(PROGRAM)
    with torch.device("meta"):
        rome, deca, hair = Rome(), Deca(), HairRegressor()
    torch.save(constants(rome), data / "rome.pth")
    torch.save({n: constants(net) for n, net in deca.named_children()}, data / "deca_model.tar")
    torch.save(constants(hair), data / "linear_hair.pth")
    torch.save(torch.from_numpy(rng.normal(size=(VERTICES, 3))), data / "mean_deform.pt")
    torch.save(torch.from_numpy(rng.normal(size=(3 * VERTICES, 60))), data / "u_full.pt")
