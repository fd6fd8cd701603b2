"""The presets: texture, renderer, losses, rates and budget that belong together."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from dnr.asset import AssetConfig
from dnr.renderers.image import ImageConfig
from dnr.renderers.pixel import PixelConfig
from dnr.textures.pyramid import TextureConfig
from dnr.training.options import ImageLosses

PresetName = Literal["preview", "paper", "unet", "pixel", "best", "realtime"]


@dataclass(frozen=True)
class Recipe:
    """How one asset is trained."""

    asset: AssetConfig
    steps: int
    """Gradient steps, unless the user asks otherwise."""
    batch: int = 16384
    """Pixels per step, for renderers that shade every pixel on its own."""
    crop: int = 256
    """Side of the one crop per step, for renderers that look at images."""
    texture_rate: float = 1e-3
    """Adam's learning rate for texels."""
    network_rate: float = 5e-3
    """Adam's learning rate for the renderer."""
    last_rate: float = 0.02
    """Both rates fall along a cosine to this share of their start."""
    decay: float = 0.1
    """Pull of the finest neural texels towards zero per step; a quarter of it on each coarser
    level, none on the coarsest and none on colours."""
    square_weight: float = 3.0
    """Weight of the squared error beside the absolute one (pixel renderers): the latter alone does
    not mind a missing highlight that few photos have seen."""
    residual_weight: float = 0.02
    """Penalty on what paint cannot reach (pixel renderers)."""
    colour_weight: float = 0.0
    """Weight of the L1 between the texture's colour and the photo (image renderers)."""
    texture_start: Literal["photos", "noise"] = "photos"
    """Project the photos onto the texture first, or start from noise as published."""
    random_background: bool = False
    """Put another colour behind object and photo in every step (image renderers, masked photos)."""
    losses: ImageLosses = field(default_factory=ImageLosses)
    """Further terms (image renderers)."""
    fine_features: bool = False
    """Features half as fine as the photos' colours, instead of as coarse as the texture says."""
    refine_geometry: bool = False
    """Let the photos move the mesh along its normals before training."""


def recipe(preset: PresetName) -> Recipe:
    """What `preset` stands for."""
    # Features at 256 and colour beyond: finer features memorise photos (0.3 to 0.6 dB on three
    # validation splits). The published method keeps its 512.
    texture = TextureConfig(size=256)
    match preset:
        case "preview":
            return Recipe(AssetConfig(texture, PixelConfig()), steps=600)
        case "pixel":
            return Recipe(AssetConfig(texture, PixelConfig()), steps=6000)
        case "best":
            return Recipe(AssetConfig(texture, PixelConfig()), steps=8000, refine_geometry=True)
        case "realtime":
            light = TextureConfig(size=256, channels=8)
            return Recipe(AssetConfig(light, PixelConfig(hidden=32)), steps=6000)
        case "unet":
            config = AssetConfig(TextureConfig(), ImageConfig("residual"))
            return Recipe(config, steps=4000, network_rate=2e-3, colour_weight=0.5)
        case "paper":
            return Recipe(
                AssetConfig(TextureConfig(), ImageConfig("paper")),
                steps=4000,
                crop=512,
                network_rate=1e-3,
                last_rate=1.0,
                decay=1e-3,
                colour_weight=1.0,
                texture_start="noise",
            )


def for_made_mesh(chosen: Recipe) -> Recipe:
    """The recipe for a mesh that stereo has made from the same photos: a little wrong everywhere.

    Then texture has to make up for geometry, which takes finer features, less held back, and
    knowing where the camera stands; and photos have little left to say about the mesh.
    """
    renderer = chosen.asset.renderer
    if not isinstance(renderer, PixelConfig):
        return chosen
    asset = replace(chosen.asset, renderer=replace(renderer, view=True))
    finer = replace(chosen, asset=asset, fine_features=True, texture_rate=2e-3, decay=0.03)
    return replace(finer, refine_geometry=False)
