"""Make-up, tattoos and decals: recipes of `dnr edit` carried out on an avatar's texture."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from avatars.avatar.avatar import Avatar
from avatars.avatar.files import PLATE_FILE, STILL_FILE, load_avatar, save_avatar
from avatars.heads.head import head_mesh, head_vertices, still
from dnr.asset import Asset, AssetConfig
from dnr.editing.runs import CAPTURED, EDITS, RUN_FILES, captured_run, replayed
from dnr.editing.session import Session
from dnr.editing.texels import finest_colours
from dnr.errors import InputError
from dnr.files import new_folder
from dnr.geometry.cameras import Camera, intrinsics_from_fov, look_at
from dnr.renderers.pixel import PixelConfig

VIEWS = {"front": (0.0, 0.0), "left": (50.0, 0.0), "right": (-50.0, 0.0), "above": (0.0, 50.0)}
"""Degrees to the subject's left, and up, from which the head at rest is painted."""
VIEW_SIZE, AWAY_M, FOV_DEG = 512, 0.8, 24.0
TEXTURE_FILE = "texture.png"
OBJECTS = ("remove", "hide", "move", "duplicate")
OWN_KEYS = ("format_version", "kind", "code_version", "config", "head", "square")


def edit_avatar(run: Path, recipe: Path | None, out: Path, undo: int = 0) -> Session:
    """Write the avatar `out`: `run` with the operations of `recipe` after those it has already.

    What it wears is kept whoever drives it. Its texture lies in edits/texture.png, as captured in
    edits/captured/texture.png: laid onto another avatar as a decal, either is make-up or a swap.
    """
    base = captured_run(run)
    saved = load_avatar(base)
    asset = as_asset(saved.avatar)
    with new_folder(out) as beside:
        edits = beside / EDITS
        session = replayed(asset, views(), run, recipe, undo, edits)
        for number, operation in enumerate(session.operations, 1):
            if operation["op"] in OBJECTS and operation.get("enabled", True):
                raise InputError(
                    f"operation {number} ({operation['op']}): parts of a head stay where they are; "
                    "paint it instead"
                )
        (edits / CAPTURED).mkdir()
        for name in (*RUN_FILES, STILL_FILE, PLATE_FILE):
            shutil.copyfile(base / name, edits / CAPTURED / name)
        before, after = (finest_colours(each.texture) for each in (asset, session.asset))
        _save_texture(edits / CAPTURED / TEXTURE_FILE, before)
        _save_texture(edits / TEXTURE_FILE, after)
        about = {name: value for name, value in saved.about.items() if name not in OWN_KEYS}
        about["edits"] = len(session.operations)
        wearing = _wearing(saved.avatar, after - before)
        save_avatar(beside, replace(saved, avatar=wearing, about=about))
    return session


def views() -> dict[str, Camera]:
    """Where recipes look from: the head at rest, by name."""
    found = {}
    for name, (left, up) in VIEWS.items():
        yaw, pitch = np.deg2rad([left, up])
        way = [np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)]
        place = AWAY_M * torch.tensor([way], dtype=torch.float32)
        pose = look_at(place, torch.zeros(3), torch.tensor([0.0, 1.0, 0.0]))
        size = (VIEW_SIZE, VIEW_SIZE)
        found[name] = Camera(pose, intrinsics_from_fov(FOV_DEG, size, pose), size)
    return found


def as_asset(avatar: Avatar) -> Asset:
    """The head at rest, showing nothing but its texture's colour."""
    rest = head_vertices(avatar.head, avatar.identity, still(avatar.head), avatar.offsets)[0]
    mesh = head_mesh(avatar.head, rest.detach())
    shown = avatar.faces
    mesh = replace(
        mesh,
        faces=mesh.faces[shown],
        uv_faces=mesh.uv_faces[shown],
        normal_faces=mesh.normal_faces[shown],
    )
    plain = PixelConfig(hidden=8, lamps=0, direction="none")
    asset = Asset(AssetConfig(avatar.config.texture, plain), mesh, torch.ones(3, 1, 1))
    asset.texture.load_state_dict(avatar.texture.state_dict())
    colours = torch.from_numpy(finest_colours(asset.texture))
    asset.diffuse.copy_((255 * colours.clamp(0, 1)).round())
    return asset


def _wearing(avatar: Avatar, change: np.ndarray) -> Avatar:  # [S, S, 3]
    """The avatar with this change of its texture's colour put on."""
    config = replace(avatar.config, painted=len(change))
    painted = Avatar(config, avatar.head, avatar.plate)
    painted.load_state_dict(avatar.state_dict(), strict=False)
    painted.paint = torch.nn.Buffer(torch.from_numpy(change).permute(2, 0, 1).contiguous())
    return painted


def _save_texture(path: Path, colours: np.ndarray) -> None:
    Image.fromarray((255 * colours.clip(0, 1)).round().astype(np.uint8)).save(path)
