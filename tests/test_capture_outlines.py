"""Depths that things spread over a blank surrounding go, and thin things stay."""

import cv2
import numpy as np

from dnr.capture.outlines import without_spread


def test_a_rim_of_blank_background_goes_and_the_thing_stays(rng: np.random.Generator) -> None:
    thing = np.zeros((90, 130), bool)
    thing[20:70, 30:80] = True  # a box
    thing[20:70, 108:112] = True  # a rod beside it
    texture = rng.uniform(0.1, 0.5, thing.shape).astype(np.float32)
    grey = np.where(thing, texture, 0.8).astype(np.float32)
    grey += rng.normal(0, 0.005, thing.shape).astype(np.float32)
    spread = cv2.dilate(thing.astype(np.uint8), np.ones((9, 9), np.uint8)).astype(bool)
    depth = np.where(spread, 2.0, 0).astype(np.float32)
    kept = without_spread(depth, grey) > 0
    assert (kept & ~thing).sum() < 0.05 * (spread & ~thing).sum()
    assert (kept & thing).sum() > 0.98 * thing.sum()


def test_a_slope_without_outlines_stays_whole(rng: np.random.Generator) -> None:
    grey = rng.uniform(0, 1, (60, 80)).astype(np.float32)
    depth = np.linspace(1, 3, 80, dtype=np.float32) * np.ones((60, 1), np.float32)
    assert np.array_equal(without_spread(depth, grey), depth)


def test_what_a_thing_hides_of_a_wall_keeps_its_depth(rng: np.random.Generator) -> None:
    """A textured wall behind, known everywhere: nothing has spread."""
    near = np.zeros((60, 80), bool)
    near[10:50, 20:50] = True
    grey = np.where(near, 0.2, 0.7) + rng.normal(0, 0.02, near.shape)
    depth = np.where(near, 1.0, 2.0).astype(np.float32)
    kept = without_spread(depth, grey.astype(np.float32))
    assert (kept > 0).mean() > 0.99
