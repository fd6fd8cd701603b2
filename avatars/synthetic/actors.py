"""Two made-up people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from avatars.heads.head import Head
from avatars.synthetic.skin import Colour, Look

ActorName = Literal["A", "B"]


@dataclass(frozen=True)
class Actor:
    """Who is filmed, with which voice, and in which light."""

    look: Look
    identity_seed: int
    pitch_hz: float  # of the voice
    key: Colour  # colour of the main lamp ...
    key_from: tuple[float, float, float]  # ... and where it is, in camera axes
    ambient: Colour
    backdrop: tuple[Colour, Colour]  # on top and below


ACTORS: dict[ActorName, Actor] = {
    "A": Actor(
        look=Look(freckles=0.4, seed=1),
        identity_seed=11,
        pitch_hz=200.0,
        key=(0.95, 0.90, 0.84),
        key_from=(-0.5, -0.6, -0.9),
        ambient=(0.42, 0.43, 0.47),
        backdrop=((0.55, 0.63, 0.70), (0.36, 0.40, 0.42)),
    ),
    "B": Actor(
        look=Look(
            skin=(0.46, 0.30, 0.22),
            lips=(0.44, 0.21, 0.20),
            brows=(0.06, 0.04, 0.04),
            hair=(0.06, 0.05, 0.05),
            iris=(0.24, 0.15, 0.09),
            clothes=(0.55, 0.24, 0.18),
            freckles=0.0,
            stubble=0.5,
            hair_m=0.008,
            seed=2,
        ),
        identity_seed=5,
        pitch_hz=110.0,
        key=(1.00, 0.94, 0.82),
        key_from=(0.7, -0.5, -0.8),
        ambient=(0.46, 0.44, 0.42),
        backdrop=((0.70, 0.62, 0.50), (0.45, 0.38, 0.33)),
    ),
}


def identity_of(actor: Actor, head: Head) -> np.ndarray:  # [I] float64
    """The actor's coefficients: a likely person, so shorter than a random draw."""
    generator = np.random.default_rng(actor.identity_seed)
    return 0.6 * generator.standard_normal(len(head.identity))
