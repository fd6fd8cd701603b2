"""Scenes as capture folders: transforms.json, images, the proxy mesh, and the truth beside them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from dnr.errors import InputError
from dnr.files import new_folder, read_json, write_json
from dnr.geometry.cameras import Camera, join_cameras
from dnr.geometry.mesh_files import save_mesh
from dnr.images import png_bytes
from dnr.synthetic.config import SceneConfig
from dnr.synthetic.proxy import build_proxy
from dnr.synthetic.render import render_view
from dnr.synthetic.scene import Scene
from dnr.synthetic.scenes import build_scene, build_views

TRUTH_VERSION = 1
"""Raise it when the same config gives other pictures: older folders are then not reused."""


def write_capture(
    out: Path,
    config: SceneConfig,
    shown: Callable[[int], object] = int,  # told how many pictures are done
) -> None:
    """Write the capture to the new folder `out`; a folder with the same config stays as it is.

    Beside the capture's own files: `truth.json` with everything that made it, and `albedo.png`,
    the colours of the surface without any light, in the uv space of `mesh.obj`.
    """
    if (out / "truth.json").is_file():
        truth = read_json(out / "truth.json")
        if (truth.get("version"), truth.get("config")) == (TRUTH_VERSION, _plain(config)):
            return
        raise InputError(
            f"{out} holds another generated capture; remove it or choose another folder."
        )
    scene = build_scene(config)
    cameras = join_cameras([views for views in build_views(config) if len(views)])
    gains = exposure_gains(config, len(cameras))
    with new_folder(out) as beside:
        (beside / "images").mkdir()
        if config.masks:
            (beside / "masks").mkdir()
        for index in range(len(cameras)):
            red, green, blue = gains[index].tolist()
            view = render_view(scene, cameras[index], (red, green, blue), config.supersampling)
            _write_png(beside / "images" / f"{index:04d}.png", view.image)
            if config.masks:
                mask = np.repeat(view.object_mask[..., None], 3, axis=2)
                _write_png(beside / "masks" / f"{index:04d}.png", mask)
            shown(index + 1)
        save_mesh(beside / "mesh.obj", build_proxy(scene, config))
        _write_png(beside / "albedo.png", scene.albedo)
        write_json(beside / "transforms.json", _transforms(scene, config, cameras, gains))
        write_json(beside / "truth.json", _truth(scene, config, gains))


def exposure_gains(config: SceneConfig, count: int) -> np.ndarray:  # [count, 3]
    """Red, green and blue gain of each view; all ones without drift."""
    rng = np.random.default_rng([config.seed, 5])
    exposure, balance = rng.normal(size=(count, 1)), rng.normal(size=(count, 3))
    return np.exp(config.exposure_drift * (exposure + balance / 3))


def _transforms(
    scene: Scene, config: SceneConfig, cameras: Camera, gains: np.ndarray
) -> dict[str, Any]:
    matrix = cameras.intrinsics[0]
    camera_to_world = cameras.world_to_camera.inverse().numpy()
    camera_to_world[:, :, 1:3] *= -1  # OpenCV axes to OpenGL axes: y and z turn around
    frames = []
    for index in range(len(cameras)):
        frame = {
            "file_path": f"images/{index:04d}.png",
            "split": "train" if index < config.num_train else "test",
            "transform_matrix": camera_to_world[index].tolist(),
        }
        if config.masks:
            frame["mask_path"] = f"masks/{index:04d}.png"
        if config.exposure_drift > 0:
            frame["true_gain"] = gains[index].tolist()
        frames.append(frame)
    head: dict[str, Any] = {
        "w": config.size[1],
        "h": config.size[0],
        "fl_x": float(matrix[0, 0]),
        "fl_y": float(matrix[1, 1]),
        "cx": float(matrix[0, 2]),
        "cy": float(matrix[1, 2]),
    }
    if scene.sky.constant:
        head["background"] = list(scene.sky.horizon)
    return head | {"frames": frames}


def _truth(scene: Scene, config: SceneConfig, gains: np.ndarray) -> dict[str, Any]:
    return {
        "version": TRUTH_VERSION,
        "config": _plain(config),
        "lights": [asdict(light) for light in scene.lights],
        "flash": scene.flash,
        "ambient": scene.ambient,
        "background": scene.sky.horizon if scene.sky.constant else None,
        "gains": gains.tolist(),
        "solids": [asdict(solid) for solid in scene.solids],
        "charts": scene.rectangles.tolist(),
    }


def _plain(config: SceneConfig) -> dict[str, Any]:
    """The config as JSON gives it back."""
    return json.loads(json.dumps(asdict(config)))


def _write_png(path: Path, values: np.ndarray) -> None:  # [H, W, 3]
    path.write_bytes(png_bytes(np.round(values * 255.0).astype(np.uint8)))
