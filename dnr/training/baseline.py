"""What training has to beat: the photos' mean colour, painted onto the same mesh."""

from __future__ import annotations

import torch
from torch import Tensor

from dnr.asset import Asset, AssetConfig
from dnr.renderers.pixel import PixelConfig
from dnr.textures.pyramid import COLOURS, TextureConfig
from dnr.training.views import Views
from dnr.training.warm_start import fitting_texture, project_photos


def averaged_texture(asset: Asset, views: Views, gains: Tensor | None) -> Asset:  # [V, 3]
    """An asset like `asset`, of which nothing was trained: a well-made ordinary texture."""
    side = asset.config.texture.colour_size
    texture = fitting_texture(TextureConfig(size=min(side, 256), channels=COLOURS + 1), views)
    # The last layer of a new renderer is zero: it shows the texture's colours.
    config = AssetConfig(texture, PixelConfig(hidden=1, lamps=0, direction="none"))
    plain = Asset(config, asset.mesh.to(torch.device("cpu")), asset.backdrop.image.cpu())
    project_photos(plain, views, gains)
    return plain
