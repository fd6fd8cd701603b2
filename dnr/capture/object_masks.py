"""Masks of the thing that was photographed, found from the surface of everything: `--object`."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch

from dnr.capture.folder import View
from dnr.capture.foreground import object_faces
from dnr.capture.photos import Photos
from dnr.capture.proxy_surface import Triangles
from dnr.errors import InputError
from dnr.files import read_json, write_json, written_whole
from dnr.geometry.meshes import Mesh
from dnr.images import png_bytes
from dnr.progress import progress
from dnr.raster.rasterize import rasterize

UNSURE = 0.015  # of a photo's height, to both sides of the surface's outline
ROUNDS = 2  # of GrabCut
CONTEXT = 0.1  # of a photo's height, around the thing: colours farther away do not matter
GRID = 8  # pixels between the places where the lens is worked out


def write_object_masks(out: Path, mesh: Mesh, photos: Photos, views: list[View]) -> int:
    """Write masks/ and enter them in transforms.json; returns how many photos show the object."""
    train = photos.of("train")
    surface: Triangles = (mesh.vertices.numpy(), mesh.faces.numpy().astype(np.int32))
    chosen = object_faces(surface, train.cameras)
    if not chosen.any():
        raise InputError(
            "--object found nothing that stands out from what is around it. Film so that all of "
            "the object is in most photos, or give masks (mask_path in transforms.json)."
        )
    shown = 0
    names: dict[str, str] = {}
    with progress(len(photos), "cutting out the object") as told:
        for index, view in enumerate(views):
            mask = _outline(surface, chosen, photos, index)
            shown += bool(mask.any())
            names[view.name] = f"masks/{Path(view.name).with_suffix('').as_posix()}.png"
            stored = _as_stored(mask, view)
            with written_whole(out / names[view.name]) as beside:
                beside.write_bytes(png_bytes(np.repeat(stored[..., None], 3, axis=2)))
            told.update(index + 1)
    content = read_json(out / "transforms.json")
    for frame in content["frames"]:
        frame["mask_path"] = names[_with_suffix(frame["file_path"], names)]
    write_json(out / "transforms.json", content)
    return shown


def _with_suffix(file_path: str, names: dict[str, str]) -> str:
    """How `file_path` is called among the views: without "./", and with its suffix."""
    plain = Path(file_path.replace("\\", "/")).as_posix()
    return plain if plain in names else plain + ".png"


def _outline(
    surface: Triangles, chosen: np.ndarray, photos: Photos, index: int
) -> np.ndarray:  # bool [H, W]
    """What the surface hides of the photo, moved to the edges of colours nearby (GrabCut)."""
    points, corners = torch.from_numpy(surface[0]), torch.from_numpy(surface[1])
    found = rasterize(points, corners, photos.cameras[index]).face_id[0].numpy()
    rough = np.where(found >= 0, chosen[found], False).astype(np.uint8)
    if not rough.any():
        return rough.astype(bool)
    reach = max(round(UNSURE * len(rough)), 1)
    around = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    inner, outer = cv2.erode(rough, around), cv2.dilate(rough, around)
    labels = np.where(rough > 0, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    labels[inner > 0], labels[outer == 0] = cv2.GC_FGD, cv2.GC_BGD
    rows, columns = (np.flatnonzero(outer.any(axis=axis)) for axis in (1, 0))
    margin = round(CONTEXT * len(rough))
    here = np.s_[
        max(rows[0] - margin, 0) : rows[-1] + margin + 1,
        max(columns[0] - margin, 0) : columns[-1] + margin + 1,
    ]
    part = np.ascontiguousarray(labels[here])
    if (part == cv2.GC_FGD).any() and (part == cv2.GC_BGD).any():
        colours = np.ascontiguousarray(photos[index].rgb[here])
        models = np.zeros((1, 65)), np.zeros((1, 65))
        cv2.setRNGSeed(0)
        cv2.grabCut(colours, part, (0, 0, 1, 1), *models, ROUNDS, cv2.GC_INIT_WITH_MASK)
    result = np.zeros(rough.shape, bool)
    result[here] = (part == cv2.GC_FGD) | (part == cv2.GC_PR_FGD)
    return result


def _as_stored(mask: np.ndarray, view: View) -> np.ndarray:  # bool [H, W] -> uint8 [H', W']
    """The mask of the undistorted photo as a mask of the photo in its file."""
    height, width = view.camera.size
    soft = mask.astype(np.float32)
    if not any(view.distortion):
        large = cv2.resize(soft, (width, height), interpolation=cv2.INTER_LINEAR)
        return np.where(large > 0.5, 255, 0).astype(np.uint8)
    matrix = view.camera.intrinsics[0].double().cpu().numpy()
    rows, columns = height // GRID + 2, width // GRID + 2
    row, column = np.mgrid[:rows, :columns] * float(GRID)
    places = np.stack([column, row], axis=-1).reshape(-1, 1, 2)
    straight = cv2.undistortPoints(places, matrix, np.array(view.distortion), None, None, matrix)
    straight = straight.reshape(rows, columns, 2) * (mask.shape[1] / width, mask.shape[0] / height)
    centre_row, centre_column = np.mgrid[:height, :width] + 0.5
    steps = (centre_column / GRID).astype(np.float32), (centre_row / GRID).astype(np.float32)
    found = cv2.remap(straight.astype(np.float32), *steps, cv2.INTER_LINEAR) - 0.5
    large = cv2.remap(
        soft, found[..., 0], found[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.where(large > 0.5, 255, 0).astype(np.uint8)
