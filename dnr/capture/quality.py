"""How good a proxy is, as far as that can be told without the truth."""

from __future__ import annotations

import numpy as np
import torch

from dnr.capture.photos import Photos
from dnr.capture.proxy_surface import without_shell
from dnr.capture.stereo import Depths
from dnr.geometry.meshes import Mesh
from dnr.raster.rasterize import rasterize


def measure(mesh: Mesh, depths: Depths, photos: Photos) -> dict[str, float]:
    """Coverage of all photos, held-out ones among them, and how depths agree with the mesh.

    `coverage_*` count pixels that show the object, without the shell, which covers everything.
    `depth_error` is the median relative difference between stereo's confirmed depths and the mesh.
    """
    faces = without_shell(mesh)
    covered = {"train": [], "test": []}
    errors, position = [np.zeros(0)], 0
    for index, camera in enumerate(photos.cameras):
        fragments = rasterize(mesh.vertices, faces, camera)
        photo, hit = photos[index], (fragments.face_id[0] >= 0).numpy()
        wanted = (photo.valid == 255) & (photo.alpha > 127)
        if wanted.any():
            covered[photos.splits[index]].append(float(hit[wanted].mean()))
        if photos.splits[index] == "train":
            depth = depths.confirmed[position]
            position += 1
            both = hit & (depth > 0)
            errors.append(np.abs(fragments.depth[0].numpy()[both] / depth[both] - 1)[::5])
    everywhere = covered["test"] or covered["train"]
    error = torch.from_numpy(np.concatenate(errors))
    return {
        "faces": len(mesh),
        "coverage_mean": float(np.mean(everywhere)) if everywhere else 0.0,
        "coverage_worst": float(np.min(everywhere)) if everywhere else 0.0,
        "confirmed": float(np.mean([(depth > 0).mean() for depth in depths.confirmed])),
        "depth_error": float(error.median()) if len(error) else 1.0,
        "depth_within_1_percent": float((error < 0.01).double().mean()) if len(error) else 0.0,
    }
