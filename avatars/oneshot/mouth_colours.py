"""The colours inside a mouth that a photo does not show, guessed from what it does show."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from avatars.detectors.faces import LEFT_EYE_OUTER, RIGHT_EYE_OUTER

LOWER_LIP = ((14, 17), (87, 84), (317, 314))  # landmarks of its two rims
SKIN = (205, 425, 50, 280, 164, 200)  # landmarks on cheeks, chin and above the lip
NOSTRILS = (98, 97, 2, 326, 327, 64, 294, 60, 290, 20, 250, 79, 309, 240, 460)
DARKEST_SHARE = 0.06  # of the pixels around the nostrils
AROUND = 0.04  # of the distance between the eyes, that landmarks of nostrils may be off
HARD, SOFT = 0.12, 0.42  # darkness of nostrils, of the skin's, in light from a side and from all
DEEP = 0.65  # a mouth is deeper than a nostril
TONGUE = (0.82, 0.70, 0.86)  # of the skin's colour, where light falls in; of the lip's it is LIKE
LIKE, REDDEST = 0.85, 0.64


class MouthColours(NamedTuple):
    """float32 [3] each, 0 to 255."""

    teeth: np.ndarray
    tongue: np.ndarray
    cavity: np.ndarray
    soft: float  # how much light gets into holes: 0 in hard light from a side, up to 1


def mouth_colours(picture: np.ndarray, landmarks: np.ndarray) -> MouthColours:
    """From the skin, and from the nostrils: they are as dark as this photo's light and haze let
    holes be. `picture` is uint8 [H, W, 3], `landmarks` [478, 2] are in its pixels."""
    skin = _colour(picture, landmarks[list(SKIN)])
    lip = _colour(picture, landmarks[np.array(LOWER_LIP)].mean(axis=1))
    hole = _nostrils(picture, landmarks)
    dark = float((hole / skin)[1:].mean())  # blood makes red light no measure
    soft = float(smooth((dark - HARD) / (SOFT - HARD)))
    white = skin.max() * (skin / skin.max()) ** 0.5  # half of the skin's own tint is the light's
    teeth = np.minimum(white * (0.55 + 0.45 * soft), 245)
    red = (skin * np.array(TONGUE, np.float32) + LIKE * lip) / 2
    red[1:] = np.minimum(red[1:], REDDEST * red[0])  # yellow light or varnish is no yellow tongue
    tongue = red * (0.12 + 0.76 * soft)
    return MouthColours(teeth, np.maximum(tongue, DEEP * hole), DEEP * hole, soft)


def smooth(x: np.ndarray | float) -> np.ndarray:
    """0 below 0, 1 above 1, without a kink between."""
    x = np.clip(x, 0, 1)
    return x * x * (3 - 2 * x)


def _colour(picture: np.ndarray, places: np.ndarray) -> np.ndarray:  # [N, 2] -> float32 [3]
    """What most of the places look like."""
    places = places.round().astype(int)
    places = np.clip(places, 1, np.array(picture.shape[1::-1]) - 2)
    patches = [picture[y - 1 : y + 2, x - 1 : x + 2].mean(axis=(0, 1)) for x, y in places]
    return (np.median(patches, axis=0) + 1).astype(np.float32)


def _nostrils(picture: np.ndarray, landmarks: np.ndarray) -> np.ndarray:  # [3]
    """The darkest of what is around the nostrils."""
    around = np.zeros(picture.shape[:2], np.uint8)
    hull = cv2.convexHull(landmarks[list(NOSTRILS)].astype(np.float32))
    cv2.fillConvexPoly(around, hull.round().astype(np.int32), 1)
    reach = round(
        AROUND * float(np.linalg.norm(landmarks[LEFT_EYE_OUTER] - landmarks[RIGHT_EYE_OUTER]))
    )
    around = cv2.dilate(around, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
    pixels = picture[around > 0].astype(np.float32)
    if not len(pixels):
        return np.zeros(3, np.float32)
    order = np.argsort(pixels.sum(axis=1))
    return pixels[order[: max(int(DARKEST_SHARE * len(pixels)), 1)]].mean(axis=0)
