"""Avatars on disk, in run folders; nothing in one is trusted or executed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from avatars.avatar.avatar import Avatar, AvatarConfig
from avatars.avatar.lens import Lens
from avatars.heads.files import load_head
from avatars.heads.head import head_mesh, head_vertices, still
from avatars.stage.square import Square
from avatars.transfer.limits import Limits
from avatars.transfer.neutral import Neutral
from dnr import __version__
from dnr.errors import InputError
from dnr.files import check_format, read_bytes, read_json, write_json, written_whole
from dnr.geometry.npz_files import save_npz
from dnr.tensor_files import load_tensors, save_tensors
from dnr.textures.pyramid import TextureConfig

FORMAT_VERSION = 1
MOST_PIXELS, MOST_CHANNELS = 4096, 1024
"""Of anything that asset.json counts: sides of pictures and textures, widths of layers."""
STILL_FILE, PLATE_FILE = "still.png", "plate.png"
_IMAGE_BYTES = 256 << 20


@dataclass(frozen=True)
class Surroundings:
    """What stands still around the avatar, in the pixels of its own video."""

    square: Square
    still: np.ndarray  # uint8 [H, W, 4], a frame of the person at rest, alpha: the person
    plate: np.ndarray  # uint8 [H, W, 3], the background without the person


@dataclass(frozen=True)
class SavedAvatar:
    """All of a run folder that is needed to drive it."""

    avatar: Avatar
    rest: Neutral
    limits: Limits
    around: Surroundings
    about: dict[str, Any]  # asset.json


def save_avatar(folder: Path, saved: SavedAvatar) -> None:
    """Write everything, asset.json last: with it the avatar is complete."""
    avatar, around = saved.avatar, saved.around
    shape = head_vertices(avatar.head, avatar.identity, still(avatar.head), avatar.offsets)[0]
    save_npz(folder / "mesh.npz", head_mesh(avatar.head, shape.detach()))
    save_tensors(folder / "weights.safetensors", _tensors(avatar, saved.rest, saved.limits))
    _write_png(folder / STILL_FILE, cv2.cvtColor(around.still, cv2.COLOR_RGBA2BGRA))
    _write_png(folder / PLATE_FILE, cv2.cvtColor(around.plate, cv2.COLOR_RGB2BGR))
    head = {"format_version": FORMAT_VERSION, "kind": "avatar", "code_version": __version__}
    config = asdict(avatar.config) | {"lens": avatar.config.lens._asdict()}
    facts = {"head": avatar.head.name, "config": config, "square": asdict(around.square)}
    write_json(folder / "asset.json", head | facts | saved.about)


def is_avatar(run: Path) -> bool:
    """Whether a run folder holds an avatar, and not a scene."""
    path = run / "asset.json"
    return path.is_file() and read_json(path).get("kind") == "avatar"


def load_avatar(folder: Path, device: torch.device | str = "cpu") -> SavedAvatar:
    """The avatar in a run folder."""
    path = folder / "asset.json"
    if not path.is_file():
        raise InputError(f"{folder} holds no finished avatar (asset.json is missing); train one")
    value = read_json(path)
    check_format(path, value, FORMAT_VERSION)
    if value.get("kind") != "avatar":
        raise InputError(
            f"{folder} holds a {value.get('kind')}, not an avatar; train one with --kind avatar"
        )
    head = load_head(str(value.get("head")))
    try:
        config, square = _config(value["config"]), _square(value["square"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} is not a valid avatar description ({error}); remake it"
        ) from error
    size = config.lens.size
    with torch.device("meta"):  # nothing is allocated that the file of weights does not hold
        avatar = Avatar(config, head, torch.zeros(3, size, size))
    # The faces are counted from the head, which is not on the meta device.
    weights = folder / "weights.safetensors"
    own = avatar.state_dict()
    shapes = {name: tuple(value.shape) for name, value in own.items()}
    expressions = len(head.expression)
    shapes |= {f"rest.{name}": shape for name, shape in _rest_shapes(expressions).items()}
    shapes |= {f"limits.{name}": shape for name, shape in _limit_shapes(expressions).items()}
    tensors = load_tensors(weights, shapes)
    rest = {name: tensors.pop(f"rest.{name}").float() for name in _rest_shapes(expressions)}
    ends = {name: tensors.pop(f"limits.{name}").float() for name in _limit_shapes(expressions)}
    wrong = [name for name, tensor in tensors.items() if tensor.dtype != own[name].dtype]
    if wrong:
        raise InputError(f"{weights} holds {wrong[0]} in another number format; restore it")
    avatar.load_state_dict(tensors, assign=True)
    around = Surroundings(
        square,
        _read_png(folder / STILL_FILE, (*square.frame, 4)),
        _read_png(folder / PLATE_FILE, (*square.frame, 3)),
    )
    neutral = Neutral(**(rest | {"lips": float(rest["lips"])}))  # type: ignore[arg-type]
    return SavedAvatar(avatar.moved(torch.device(device)), neutral, Limits(**ends), around, value)


def _tensors(avatar: Avatar, rest: Neutral, ends: Limits) -> dict[str, Tensor]:
    tensors = dict(avatar.state_dict())
    for name in _rest_shapes(0):
        tensors[f"rest.{name}"] = torch.as_tensor(getattr(rest, name), dtype=torch.float32)
    return tensors | {f"limits.{name}": getattr(ends, name).float() for name in _limit_shapes(0)}


def _rest_shapes(expressions: int) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {"expression": (expressions,), "gaze": (2, 2)}
    return shapes | {"rotation": (3, 3), "neck": (3,), "lids": (2, 2), "lips": ()}


def _limit_shapes(expressions: int) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {"expression": (2, expressions), "gaze": (2, 2, 2)}
    return shapes | {"turn": (2, 3), "place": (2, 3)}


def _config(stored: dict[str, Any]) -> AvatarConfig:
    """Types and sizes are checked before they are used."""
    values = dict(stored)
    focal, centre, size = (values["lens"][name] for name in ("focal", "centre", "size"))
    lens = Lens(float(focal), (float(centre[0]), float(centre[1])), _count("lens size", size, 16))
    texture = {name: _count(name, value, 1) for name, value in values["texture"].items()}
    widths = tuple(_count("widths", width, 1, MOST_CHANNELS) for width in values["widths"])
    has_layers, sees_normals = values["has_layers"], values.get("sees_normals", True)
    switches = isinstance(has_layers, bool) and isinstance(sees_normals, bool)
    if not 2 <= len(widths) <= 8 or not switches:
        raise ValueError("widths or switches are not sensible")
    return AvatarConfig(
        lens,
        TextureConfig(**texture),
        float(values["half_m"]),
        _count("canvas", values["canvas"], 2),
        _count("moving_size", values["moving_size"], 2),
        _count("moving_channels", values["moving_channels"], 0, MOST_CHANNELS),
        widths,
        has_layers,
        sees_normals,
        tuple(str(name) for name in values["hidden"]),
        _count("painted", values.get("painted", 0), 0),
    )


def _square(stored: dict[str, Any]) -> Square:
    height, width = (_count("frame", side, 16, 1 << 14) for side in stored["frame"])
    side = _count("side", stored["side"], 16, min(height, width))
    left = _count("left", stored["left"], 0, width - side)
    top = _count("top", stored["top"], 0, height - side)
    return Square(left, top, side, _count("size", stored["size"], 16), (height, width))


def _count(name: str, value: object, least: int, most: int = MOST_PIXELS) -> int:
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"{name} must be a whole number from {least} to {most}")
    return value


def _write_png(path: Path, image: np.ndarray) -> None:  # in OpenCV's order of channels
    done, data = cv2.imencode(".png", image)
    assert done
    with written_whole(path) as beside:
        beside.write_bytes(data.tobytes())


def _read_png(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    data = np.frombuffer(read_bytes(path, _IMAGE_BYTES), np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if len(data) else None
    if image is None or image.shape != shape or image.dtype != np.uint8:
        raise InputError(f"{path} is damaged or of another avatar; copy the whole run folder again")
    swap = cv2.COLOR_BGRA2RGBA if shape[2] == 4 else cv2.COLOR_BGR2RGB
    return cv2.cvtColor(image, swap)
