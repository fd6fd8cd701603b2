"""A voice for a performance: humming through two formants, louder and brighter with the jaw."""

from __future__ import annotations

import numpy as np

from avatars.heads.head import Head
from avatars.synthetic.performance import Performance, drift

RATE = 24_000  # samples a second
HARMONICS = 24


def speak(
    head: Head, performance: Performance, fps: float, pitch_hz: float, seed: int
) -> np.ndarray:  # [S] float32 in [-1, 1], as long as the frames
    """Sound whose vowels are those of the lips; silent when the mouth rests."""
    frames = len(performance.loudness)
    samples = round(frames / fps * RATE)
    at = np.arange(samples) / RATE * fps
    generator = np.random.default_rng([seed, 9])
    jaw = performance.expression[:, head.expression_names.index("jawOpen")]
    first_hz = _at(at, 300 + 1100 * np.clip(jaw, 0, 0.5))
    second_hz = _at(at, performance.second_formant_hz)
    melody = pitch_hz * 2 ** (0.12 * drift(frames, fps, 1.2, generator))
    pitch = _at(at, melody)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    sound = np.zeros(samples)
    for harmonic in range(1, HARMONICS + 1):
        hertz = harmonic * pitch
        bright = _resonance(hertz, first_hz, 90.0) + 0.6 * _resonance(hertz, second_hz, 130.0)
        audible = hertz < 0.45 * RATE
        sound += audible * bright / harmonic**0.6 * np.sin(harmonic * phase)
    sound *= _at(at, np.clip(performance.loudness, 0, None))
    return (0.5 * sound / max(np.abs(sound).max(), 1e-9)).astype(np.float32)


def _at(at: np.ndarray, course: np.ndarray) -> np.ndarray:
    """A per-frame course, whose values belong to the middles of frames, at samples."""
    return np.interp(at - 0.5, np.arange(len(course)), course)


def _resonance(hertz: np.ndarray, centre: np.ndarray, width: float) -> np.ndarray:
    return 1 / (1 + ((hertz - centre) / width) ** 2)
