"""One eye of the photo: its lids and iris moved within the photo, before the head is.

Everything happens in the eye's own coordinates: across from the corner at the temple to the one at
the nose, upwards, in units of the eye's width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from avatars.stage.plate import filled

Heights = np.ndarray | np.floating


class EyePoints(NamedTuple):
    """mediapipe's numbers, each row from the temple to the nose."""

    corners: tuple[int, int]
    upper: tuple[int, ...]
    lower: tuple[int, ...]
    crease: tuple[int, ...]
    brow: tuple[int, ...]
    iris: tuple[int, ...]  # the centre, and four on the rim


RIGHT = EyePoints(
    (33, 133), (246, 161, 160, 159, 158, 157, 173), (7, 163, 144, 145, 153, 154, 155),
    (247, 30, 29, 27, 28, 56, 190), (46, 53, 52, 65, 55), (468, 469, 470, 471, 472),
)  # fmt: skip
LEFT = EyePoints(
    (263, 362), (466, 388, 387, 386, 385, 384, 398), (249, 390, 373, 374, 380, 381, 382),
    (467, 260, 259, 257, 258, 286, 414), (276, 283, 282, 295, 285), (473, 474, 475, 476, 477),
)  # fmt: skip
ACROSS, ABOVE, BELOW = 0.75, 0.70, 0.55  # extent of the layer around the middle of the eye
LASHES, ROOTS = 0.045, 0.02  # strips above and below the lid's rim that move without a stretch
LASH_FALL = 0.08  # how much farther down lashes reach when the eye is shut
RIM = 0.03  # so far from where a rim was found the white of the eye may reach
LIT = 0.9  # how much of the shade in a fold goes when it opens
SETTLED = 0.2  # change of the opening from which on lids are drawn without that white
LIGHTER = 0.6  # of the visible white, this share is darker than what is hidden
LID_SHADOW, SHADOW_DEPTH = 0.25, 0.06  # what the upper lid takes of the light, how far down
CREASE_SHARE = 0.15  # of the lid's way that its crease goes along
WIDEST = 1.7  # times the photo's opening
FAR_GAZE = (0.38, 0.25)  # where the iris comes to rest, across and up
GAZE_GAIN = (1.25, 1.6)  # fitted eyeballs are a little large, so fitted turns are a little small


class EyeMotion(NamedTuple):
    """How an eye differs from the photo's."""

    opening: float  # times the photo's
    lower: float  # how far the lower lid has moved up
    iris: np.ndarray  # [2] how far the iris has moved


@dataclass(frozen=True)
class Eye:
    """What is prepared once."""

    rows: slice  # the layer in the picture
    columns: slice
    pixel: float  # size of a pixel in the eye's units
    to_picture: np.ndarray  # float32 [2, 2]: a step in the eye's units, in pixels
    upward: np.ndarray  # float32 [h, w]
    upper: np.ndarray  # float32 [h, w]: the rims above or below each pixel
    lower: np.ndarray
    crease: np.ndarray
    brow: np.ndarray
    across: np.ndarray
    fade: np.ndarray  # float32 [h, w, 1] 0 at the layer's border
    lids: np.ndarray  # uint8 [h, w, 3], the photo without the white of the eye
    lit: np.ndarray  # float32 [h, w, 3], how bright skin would be there that no fold shades
    sclera: np.ndarray  # float32 [h, w, 3], without iris and lids
    iris: np.ndarray  # float32 [h, w, 4], premultiplied, completed under the lids


def prepare_eye(picture: np.ndarray, landmarks: np.ndarray, names: EyePoints) -> Eye:
    """The eye in `picture`, uint8 [H, W, 3], with landmarks [478, 2] in its pixels."""
    temple, nose = landmarks[list(names.corners)].astype(np.float64)
    axis, middle = nose - temple, (temple + nose) / 2
    width = float(np.hypot(*axis))
    up = np.array([axis[1], -axis[0]]) * (-1 if axis[0] < 0 else 1)  # upwards in the picture
    basis = np.stack([axis, up])  # rows: steps of one unit, in pixels
    local = (landmarks - middle) @ np.linalg.inv(basis)
    reach = np.array([[x, y] for x in (-ACROSS, ACROSS) for y in (-BELOW, ABOVE)]) @ basis + middle
    low = np.maximum(np.floor(reach.min(axis=0)).astype(int), 0)
    high = np.minimum(np.ceil(reach.max(axis=0)).astype(int), picture.shape[1::-1])
    high = np.maximum(high, low + 1)
    columns, rows = slice(low[0], high[0]), slice(low[1], high[1])
    grid = np.stack(np.meshgrid(np.arange(low[0], high[0]), np.arange(low[1], high[1])), -1)
    place = (grid + 0.5 - middle) @ np.linalg.inv(basis)
    across, upward = place[..., 0], place[..., 1]
    upper, lower, crease, brow = (
        _row(across, local, names.corners, row, closed)
        for row, closed in ((names.upper, True), (names.lower, True), (names.crease, False),
                            (names.brow, False))
    )  # fmt: skip
    crease = np.maximum(crease, upper + LASHES + 0.03)
    brow = np.maximum(brow, crease + 0.08)
    fade = np.clip((ACROSS - np.abs(across)) / 0.2, 0, 1) * np.clip((upward + BELOW) / 0.1, 0, 1)
    piece = picture[rows, columns].astype(np.float32)
    seen = (upward < upper - 0.03) & (upward > lower + 0.015) & (np.abs(across) < 0.47)
    centre, radius = _iris_circle(local, names)
    sclera, iris = _eyeball(piece, seen, across, upward, upper, centre, radius)
    upward, upper, lower, crease, brow, across = (
        x.astype(np.float32) for x in (upward, upper, lower, crease, brow, across)
    )
    lids = _lids_alone(piece, across, upward, upper, lower)
    bare = ((upward > crease + 0.04) & (upward < brow)) | (upward < lower - 0.12)
    lit = filled(piece, bare) if bare.any() else piece
    return Eye(
        rows, columns, 1 / width, basis.astype(np.float32), upward, upper, lower, crease, brow,
        across, fade[..., None].astype(np.float32), lids, lit, sclera, iris,
    )  # fmt: skip


def moved_eye(eye: Eye, picture: np.ndarray, motion: EyeMotion) -> np.ndarray:
    """The layer [h, w, 3] of `picture`, uint8 [H, W, 3], with lids and iris moved."""
    piece = picture[eye.rows, eye.columns]
    opening = min(max(motion.opening, 0.0), WIDEST) * (eye.upper - eye.lower)
    lower = eye.lower + motion.lower * np.clip(1 - (eye.across / 0.5) ** 2, 0, 1)
    upper = lower + np.maximum(opening, 0)
    closing = np.float32(min(abs(1 - motion.opening) / SETTLED, 1))
    roots = ROOTS + LASH_FALL * max(1 - motion.opening / 0.5, 0.0)
    rise = _lid_source(eye, upper, lower, roots) - eye.upward
    skin = _sampled(eye, piece, rise)
    skin += closing * (_sampled(eye, eye.lids, rise) - skin)
    skin = _unfolded(eye, skin, upper)
    ball = _ball(eye, piece, motion.iris)
    inside = np.minimum(upper - roots - eye.upward, eye.upward - lower) / eye.pixel + 0.5
    inside = np.clip(inside, 0, 1)[..., None] * (np.abs(eye.across) < 0.5)[..., None]
    result = skin + inside * (ball - skin)
    return piece + eye.fade * (result - piece)


def _unfolded(eye: Eye, skin: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """Skin that lay folded under the brow, in shade, comes into the light when the lid closes."""
    sunk = eye.upper - upper
    lash, crease = upper + LASHES, eye.crease - CREASE_SHARE * sunk
    inside = np.clip((eye.upward - lash) / 0.06, 0, 1) * np.clip((crease - eye.upward) / 0.10, 0, 1)
    share = LIT * np.clip(sunk / 0.15, 0, 1) * inside
    return skin + share[..., None] * np.maximum(eye.lit - skin, 0)


def _lid_source(
    eye: Eye, upper: np.ndarray, lower: np.ndarray, roots: float
) -> np.ndarray:  # [h, w]
    """At which height of the photo the skin of the lids is found: stretched between crease and
    lashes, so that the crease stays where it is and lashes stay sharp."""
    v, sunk = eye.upward, eye.upper - upper
    lash = upper + LASHES
    crease = np.maximum(eye.crease - CREASE_SHARE * sunk, lash + 0.02)
    brow = np.maximum(eye.brow, crease + 0.02)
    above = _ramp(v, lash, crease, eye.upper + LASHES, eye.crease)
    above = np.where(v > crease, _ramp(v, crease, brow, eye.crease, eye.brow), above)
    above = np.where(v > brow, v + (eye.brow - brow), above)
    hanging = _ramp(v, upper - roots, lash, eye.upper - ROOTS, eye.upper + LASHES)
    above = np.where(v < lash, hanging, above)
    floor = np.float32(-BELOW)
    below = _ramp(v, floor, lower, floor, eye.lower)
    return np.where(v > upper - roots, above, below)


def _ramp(v: np.ndarray, a: Heights, b: Heights, to_a: Heights, to_b: Heights) -> np.ndarray:
    """Straight from `to_a` at `a` to `to_b` at `b`."""
    return to_a + (v - a) / np.maximum(b - a, 1e-4) * (to_b - to_a)


def _sampled(eye: Eye, piece: np.ndarray, rise: np.ndarray) -> np.ndarray:
    """`piece` taken from places that lie higher by `rise` [h, w] in the eye's units."""
    rows, columns = np.indices(rise.shape, dtype=np.float32)
    right, down = eye.to_picture[1]
    return cv2.remap(
        piece, columns + rise * right, rows + rise * down, cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    ).astype(np.float32)  # fmt: skip


def _ball(eye: Eye, piece: np.ndarray, moved: np.ndarray) -> np.ndarray:
    """The eyeball without lids, its iris moved; the photo's own where nothing changes."""
    limit = np.array(FAR_GAZE)
    step = limit * np.tanh(np.array(GAZE_GAIN) * moved / limit)
    right, down = step @ eye.to_picture
    matrix = np.array([[1, 0, right], [0, 1, down]], np.float32)
    size = eye.iris.shape[1::-1]
    iris = cv2.warpAffine(eye.iris, matrix, size, flags=cv2.INTER_LINEAR)
    made = eye.sclera * (1 - iris[..., 3:]) + iris[..., :3]
    own = (eye.upward < eye.upper - 0.02) & (eye.upward > eye.lower)
    keep = np.clip(1 - np.hypot(*step) / 0.03, 0, 1) * own[..., None]
    return made + keep * (piece - made)


def _row(
    across: np.ndarray,
    local: np.ndarray,
    corners: tuple[int, int],
    row: tuple[int, ...],
    is_closed: bool,
) -> np.ndarray:
    """Height of a row of landmarks above each pixel; a rim meets the corners."""
    names = [corners[0], *row, corners[1]] if is_closed else list(row)
    points = local[names]
    points = points[np.argsort(points[:, 0])]
    return np.interp(across, points[:, 0], points[:, 1])


def _lids_alone(
    piece: np.ndarray, across: np.ndarray, upward: np.ndarray, upper: np.ndarray, lower: np.ndarray
) -> np.ndarray:
    """Nothing that is brighter than skin is left between the rims: lids are drawn out of this."""
    inside = (upward < upper + RIM) & (upward > lower - RIM) & (np.abs(across) < 0.5 + RIM)
    if inside.all():
        return piece.astype(np.uint8)
    skin = filled(piece, ~inside)
    share = cv2.GaussianBlur(inside.astype(np.float32), (0, 0), 1.0)[..., None]
    return np.clip(piece + share * (np.minimum(piece, skin) - piece), 0, 255).astype(np.uint8)


def _iris_circle(local: np.ndarray, names: EyePoints) -> tuple[np.ndarray, float]:
    centre, rim = local[names.iris[0]], local[list(names.iris[1:])]
    return centre, float(np.linalg.norm(rim - centre, axis=1).mean())


def _eyeball(
    piece: np.ndarray,
    seen: np.ndarray,
    across: np.ndarray,
    upward: np.ndarray,
    upper: np.ndarray,
    centre: np.ndarray,
    radius: float,
) -> tuple[np.ndarray, np.ndarray]:
    """The white of the eye behind everything, and the whole iris with its opacity."""
    x, y = (across - centre[0]) / radius, (upward - centre[1]) / radius
    distance = np.hypot(x, y)
    white = seen & (distance > 1.2)
    if white.sum() < 12:
        white = seen & (distance > 1.0)
    sclera = _whites(piece, white if white.any() else seen, upward, upper)
    ring = np.clip((distance * 8).astype(int), 0, 11)
    colours = np.zeros((12, 3), np.float32)
    for index in range(12):
        part = seen & (ring == index)
        colours[index] = np.median(piece[part], axis=0) if part.sum() > 2 else np.nan
    known = np.isfinite(colours[:, 0])
    if known.any():
        for channel in range(3):
            colours[:, channel] = np.interp(
                np.arange(12), np.flatnonzero(known), colours[known, channel]
            )
    guess = colours[ring] if known.any() else sclera
    trusted = cv2.GaussianBlur(seen.astype(np.float32), (0, 0), 1.0)[..., None] * seen[..., None]
    whole = guess + trusted * (piece - guess)
    cover = np.clip((1.12 - distance) / 0.14, 0, 1)[..., None]
    return sclera.astype(np.float32), np.concatenate([whole * cover, cover], 2).astype(np.float32)


def _whites(
    piece: np.ndarray, white: np.ndarray, upward: np.ndarray, upper: np.ndarray
) -> np.ndarray:  # float32 [h, w, 3]
    """The white of the eye everywhere: as seen, and where iris and lids hide it as light as its
    lighter parts, in the lid's shadow."""
    pixels = piece[white]
    light = pixels.sum(axis=1)
    colour = np.median(pixels[light >= np.quantile(light, LIGHTER)], axis=0)
    shadow = 1 - LID_SHADOW * np.exp(np.minimum(upward - upper, 0) / SHADOW_DEPTH)
    made = colour * shadow[..., None]
    share = cv2.GaussianBlur(white.astype(np.float32), (0, 0), 1.0)[..., None] * white[..., None]
    return (made + share * (piece - made)).astype(np.float32)
