"""What can be asked of the generator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SceneName = Literal["sphere", "still-life", "room"]


@dataclass(frozen=True)
class SceneConfig:
    """One capture. The same config gives the same bytes."""

    scene: SceneName = "sphere"
    size: tuple[int, int] = (512, 512)
    """(height, width) of the images."""
    num_train: int = 60
    num_test: int = 20
    seed: int = 0
    """Of camera distances, albedo noise, exposure and proxy errors."""
    light: Literal["fixed", "camera"] = "fixed"
    """"camera": one flash at the camera, as on a turntable."""
    exposure_drift: float = 0.0
    """Standard deviation of the logarithm of each view's gain; its white balance gets a third."""
    supersampling: int = 2
    """Rays along each side of a pixel."""
    texture_size: int = 1024
    """Texels along each side of the albedo atlas."""
    proxy_faces: int = 10_000
    """About as many triangles before decimation."""
    decimate: float = 1.0
    """Share of the proxy's faces that quadric decimation keeps."""
    displace: float = 0.0
    """Mean displacement of the proxy's vertices, as a share of its bounding box's diagonal."""
    masks: bool = False
    """Also write masks/: white where a pixel's centre sees an object."""

    def __post_init__(self) -> None:
        rules = {
            "size": (min(self.size) >= 1, "two positive numbers", self.size),
            "num_train": (self.num_train >= 1, "at least 1", self.num_train),
            "num_test": (self.num_test >= 0, "at least 0", self.num_test),
            "exposure_drift": (self.exposure_drift >= 0, "at least 0", self.exposure_drift),
            "supersampling": (1 <= self.supersampling <= 8, "1 to 8", self.supersampling),
            "texture_size": (self.texture_size >= 128, "at least 128", self.texture_size),
            "proxy_faces": (self.proxy_faces >= 200, "at least 200", self.proxy_faces),
            "decimate": (0 < self.decimate <= 1, "in (0, 1]", self.decimate),
            "displace": (0 <= self.displace < 1, "in [0, 1)", self.displace),
        }
        for name, (holds, rule, value) in rules.items():
            if not holds:
                raise ValueError(f"{name} must be {rule}, got {value}")
