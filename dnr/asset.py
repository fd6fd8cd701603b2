"""The neural asset: mesh, texture, renderer and backdrop; rendered, saved, loaded."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_type_hints

import torch
from torch import Tensor, nn

from dnr import __version__
from dnr.errors import InputError
from dnr.files import check_format, read_json, write_json
from dnr.geometry.cameras import Camera
from dnr.geometry.meshes import Mesh
from dnr.geometry.npz_files import load_npz, save_npz
from dnr.raster.rasterize import rasterize
from dnr.raster.samples import Samples, composite, shading_samples
from dnr.raster.surface import Surface, interpolate
from dnr.raster.turns import no_turns
from dnr.renderers.image import ImageConfig, ImageRenderer
from dnr.renderers.pixel import PixelConfig, PixelRenderer
from dnr.tensor_files import load_tensors, save_tensors
from dnr.textures.backdrop import Backdrop
from dnr.textures.pyramid import COLOURS, NeuralTexture, TextureConfig
from dnr.textures.summed import SummedTexture

FORMAT_VERSION = 1
CHUNK = 16384
"""Points shaded at once: their activations fit the processor's cache."""
SUPERSAMPLING = 3
LARGEST_SIZE = 16384
"""Of anything that asset.json counts: texels along a side, channels, widths of layers."""

RendererConfig = PixelConfig | ImageConfig


@dataclass(frozen=True)
class AssetConfig:
    """What is needed to build an asset before its weights are read."""

    texture: TextureConfig
    renderer: RendererConfig

    def __post_init__(self) -> None:
        least = COLOURS + self.renderer.least_neural
        if self.texture.channels < least:
            raise ValueError(f"channels must be at least {least}, got {self.texture.channels}")


class Shared(NamedTuple):
    """What frames have in common as long as the asset does not change; from `Asset.shared`."""

    normals: Tensor  # [V, 3]
    texture: SummedTexture


class Asset(nn.Module):
    """Everything that turns a camera into a picture."""

    def __init__(
        self,
        config: AssetConfig,
        mesh: Mesh,
        backdrop: Tensor,  # [3, H, W]
        parts: int = 0,  # of the mesh that editing has moved
    ) -> None:
        super().__init__()
        self.config, self.mesh = config, mesh
        self.texture = NeuralTexture(config.texture)
        channels = config.texture.channels
        if isinstance(config.renderer, PixelConfig):
            self.renderer = PixelRenderer(channels, config.renderer)
        else:
            self.renderer = ImageRenderer(channels, config.renderer)
        self.backdrop = Backdrop(backdrop)
        self.turns = no_turns(parts, len(mesh))
        size = config.texture.colour_size
        # The colour without highlights, as photographed: what painting is measured against.
        self.diffuse = nn.Buffer(torch.zeros(size, size, 3, dtype=torch.uint8))

    @property
    def device(self) -> torch.device:
        return self.texture.features.texels.device

    @torch.inference_mode()
    def shared(self) -> Shared:
        """What to make once and hand to `render` when many frames follow."""
        return Shared(self.mesh.normals(), SummedTexture(self.texture))

    @torch.inference_mode()
    def render(
        self, camera: Camera, shared: Shared | None = None
    ) -> Tensor:  # [B, 3, H, W] in [0, 1]
        """What the views of `camera` see. A moved object is rendered with camera.from_object."""
        camera = camera.to(self.mesh.vertices)
        background = self.backdrop.behind(camera)
        normals, texture = shared or (None, self.texture)
        if isinstance(self.renderer, ImageRenderer):
            fragments = rasterize(self.mesh.vertices, self.mesh.faces, camera)
            surface = interpolate(fragments, self.mesh, camera, normals)
            seen = fragments.face_id >= 0
            if self.turns is not None:
                surface = self.turns.undone(surface, fragments.face_id)
            features = look_up_image(texture, surface, seen)
            return self.renderer(features, surface, seen, background).clamp(0, 1)
        samples = shading_samples(self.mesh, camera, SUPERSAMPLING, normals=normals)
        if self.turns is not None:
            samples = samples._replace(surface=self.turns.undone(samples.surface, samples.face_id))
        return composite(samples, self.shade(samples, texture), background)

    def shade(
        self, samples: Samples, texture: NeuralTexture | SummedTexture | None = None
    ) -> Tensor:  # [N, 3] in [0, 1]
        """The colours of surface points, for renderers that work point by point."""
        assert isinstance(self.renderer, PixelRenderer)
        texture = texture or self.texture
        colours = torch.empty_like(samples.surface.position)
        for first in range(0, len(colours), CHUNK):
            chunk = slice(first, first + CHUNK)
            points = Surface(*(field[chunk] for field in samples.surface))
            features = texture.look_up(points.uv, points.footprint)
            self.renderer.show(features, points, colours[chunk])
        return colours

    def save(self, folder: Path, about: dict[str, Any]) -> None:
        """Write mesh, weights and asset.json, the last last: with it the asset is complete."""
        save_npz(folder / "mesh.npz", self.mesh)
        save_tensors(folder / "weights.safetensors", self.state_dict())
        config = {
            "texture": asdict(self.config.texture),
            "renderer": {"kind": renderer_kind(self.config.renderer)}
            | asdict(self.config.renderer),
            "backdrop": list(self.backdrop.image.shape[1:]),
        }
        if self.turns is not None:
            config["parts"] = len(self.turns.rotation)
        head = {"format_version": FORMAT_VERSION, "kind": "scene", "code_version": __version__}
        write_json(folder / "asset.json", head | {"config": config} | about)

    @staticmethod
    def load(folder: Path | str, device: torch.device | str = "cpu") -> Asset:
        """The asset in a run folder. Nothing in the folder is trusted or executed."""
        folder = Path(folder)
        path = folder / "asset.json"
        if not path.is_file():
            raise InputError(f"{folder} holds no finished asset (asset.json is missing); train one")
        value = read_json(path)
        check_format(path, value, FORMAT_VERSION)
        kind = value.get("kind", "scene")
        if kind != "scene":
            raise InputError(f"{folder} holds an {kind}, not a scene; drive it with reenact.py")
        config, backdrop, parts = _config(path, value)
        mesh = load_npz(folder / "mesh.npz")
        with torch.device("meta"):  # nothing is allocated that the file of weights does not hold
            asset = Asset(config, mesh, torch.zeros(3, *backdrop), parts)
        weights = folder / "weights.safetensors"
        own = asset.state_dict()
        tensors = load_tensors(weights, {name: tuple(own[name].shape) for name in own})
        wrong = [name for name in own if tensors[name].dtype != own[name].dtype]
        if wrong:
            raise InputError(f"{weights} holds {wrong[0]} in another number format; restore it")
        asset.load_state_dict(tensors, assign=True)
        if asset.turns is not None and not asset.turns.is_valid():
            raise InputError(f"{weights} gives faces to parts that are not there; restore it")
        return asset.moved(torch.device(device))

    def moved(self, device: torch.device) -> Asset:
        """Itself, on `device`, mesh included."""
        self.mesh = self.mesh.to(device)
        return self.to(device)


def look_up_image(texture: NeuralTexture | SummedTexture, surface: Surface, seen: Tensor) -> Tensor:
    """Features [B, H, W, C] where `seen` [B, H, W], zero elsewhere."""
    features = texture.look_up(surface.uv[seen], surface.footprint[seen])
    image = features.new_zeros(*seen.shape, features.shape[-1])
    return image.masked_scatter(seen[..., None], features)


def renderer_kind(config: RendererConfig) -> str:
    """The name that asset.json gives this family of renderers."""
    return "pixel" if isinstance(config, PixelConfig) else "image"


def _config(path: Path, value: dict[str, Any]) -> tuple[AssetConfig, tuple[int, int], int]:
    """The configuration in asset.json, size of the backdrop, and number of moved parts.

    Types and sizes are checked before they are used.
    """
    try:
        stored = value["config"]
        renderer = dict(stored["renderer"])
        family = {"pixel": PixelConfig, "image": ImageConfig}[renderer.pop("kind")]
        texture = _checked(TextureConfig, stored["texture"])
        config = AssetConfig(texture, _checked(family, renderer))
        height, width = stored["backdrop"]
        _check_size("backdrop", height, 1)
        _check_size("backdrop", width, 1)
        parts = stored.get("parts", 0)
        _check_size("parts", parts, 0)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is not a valid asset description ({error}); remake it") from error
    return config, (height, width), parts


def _checked(kind: type[Any], values: dict[str, Any]) -> Any:
    """`kind(**values)`, once every value is of its field's type and no size is absurd."""
    for name, hint in get_type_hints(kind).items():
        choices = get_args(hint)
        if name not in values:
            continue  # older files: the default
        if hint is int:
            _check_size(name, values[name], 0)
        elif hint is bool and type(values[name]) is not bool:
            raise ValueError(f"{name} must be true or false")
        elif choices and values[name] not in choices:
            raise ValueError(f"{name} must be one of {', '.join(choices)}")
    return kind(**values)


def _check_size(name: str, value: object, least: int) -> None:
    if type(value) is not int or not least <= value <= LARGEST_SIZE:
        raise ValueError(f"{name} must be a whole number from {least} to {LARGEST_SIZE}")
