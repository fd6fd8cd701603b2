"""Training data: clips as squares of faces with their mattes and DECA's codes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from avatars.deca.networks import DecaCodes
from avatars.detectors.faces import IBUG, FaceDetector
from avatars.detectors.mediapipe import PersonMasker
from avatars.rome.avatar import RomeModel, read_face
from avatars.rome.framing import SIZE, driver_square, source_square
from dnr.array_files import load_arrays, save_arrays
from dnr.errors import InputError
from dnr.files import new_folder
from dnr.footage import footage_frames, open_footage
from dnr.images import images_from_tensor, tensor_from_images

FACTS = "clip.npz"


class Pair(NamedTuple):
    """Two moments of one person: one to be read, one to be drawn. B of them."""

    source: Tensor  # [B, 3, 256, 256], aligned as a portrait
    source_matte: Tensor  # [B, 1, 256, 256]
    shape: Tensor  # [B, 100], of the source
    codes: DecaCodes  # of the target
    target: Tensor  # [B, 3, 256, 256]
    target_matte: Tensor  # [B, 1, 256, 256]


def prepare_clip(
    model: RomeModel,
    video: Path,
    out: Path,
    detector: FaceDetector,
    masker: PersonMasker,
    every: int = 5,
    most: int = 200,
) -> int:
    """Number of frames with a face that were written to the new folder `out`."""
    points, codes = [], []
    with new_folder(out) as beside:
        for frame in footage_frames(open_footage(video)):
            if frame.number % every or len(points) == most:
                continue
            faces = detector(frame.image)
            if not faces:
                continue
            marks = torch.from_numpy(np.asarray(faces[0].points)[list(IBUG)]).float()
            square = driver_square(marks)
            picture = square.sample(tensor_from_images(frame.image))
            matte = square.sample(torch.from_numpy(masker(frame.image))[None, None].float())
            place = square.to_square(marks)
            with torch.no_grad():
                codes.append(read_face(model, picture, place[None]))
            name = f"{len(points):05d}"
            image = images_from_tensor(picture)[0]
            cv2.imwrite(str(beside / f"{name}.jpg"), image[..., ::-1])
            cv2.imwrite(str(beside / f"{name}.png"), (matte[0, 0].numpy() * 255).astype(np.uint8))
            points.append(place)
        if len(points) < 2:
            raise InputError(f"{video} shows a face in fewer than two frames; leave it out")
        joined = DecaCodes(*(torch.cat(values) for values in zip(*codes, strict=True)))
        arrays = {name: values.numpy() for name, values in joined._asdict().items()}
        save_arrays(beside / FACTS, arrays | {"points": torch.stack(points).numpy()})
    return len(points)


class Clip:
    """A prepared folder; pictures are read when they are asked for."""

    def __init__(self, folder: Path) -> None:
        arrays = load_arrays(folder / FACTS)
        lacks = {"points", *DecaCodes._fields} - arrays.keys()
        if lacks or len({len(values) for values in arrays.values()}) != 1:
            raise InputError(f"{folder / FACTS} is not a prepared clip; prepare it again")
        self.folder = folder
        self.points = torch.from_numpy(arrays["points"])
        self.codes = DecaCodes(**{k: torch.from_numpy(arrays[k]) for k in DecaCodes._fields})

    def __len__(self) -> int:
        return len(self.points)

    def picture(self, index: int) -> tuple[Tensor, Tensor]:  # [1, 3, 256, 256], [1, 1, 256, 256]
        """One frame and its matte."""
        name = str(self.folder / f"{index:05d}")
        image, matte = cv2.imread(f"{name}.jpg"), cv2.imread(f"{name}.png", cv2.IMREAD_GRAYSCALE)
        if image is None or matte is None or image.shape != (SIZE, SIZE, 3):
            raise InputError(f"{name}.jpg or .png is missing or damaged; prepare the clip again")
        levels = torch.from_numpy(matte)[None, None].float() / 255
        return tensor_from_images(np.ascontiguousarray(image[..., ::-1])), levels


def load_clips(folder: Path) -> list[Clip]:
    """All prepared clips in `folder`."""
    clips = [Clip(path.parent) for path in sorted(folder.glob(f"*/{FACTS}"))]
    if not clips:
        raise InputError(f"{folder} has no prepared clips; prepare videos first")
    return clips


def draw_pairs(clips: Sequence[Clip], count: int, random: np.random.Generator) -> Pair:
    """`count` pairs, each of two different frames of a clip."""
    parts = []
    for _ in range(count):
        clip = clips[int(random.integers(len(clips)))]
        first, second = random.choice(len(clip), 2, replace=False)
        image, matte = clip.picture(int(first))
        square = source_square((clip.points[first] + 1) * (SIZE / 2))
        target, target_matte = clip.picture(int(second))
        codes = DecaCodes(*(values[second : second + 1] for values in clip.codes))
        shape = clip.codes.shape[first : first + 1]
        source = square.sample(image), square.sample(matte), shape
        parts.append((*source, codes, target, target_matte))
    columns = list(zip(*parts, strict=True))
    codes = DecaCodes(*(torch.cat(values) for values in zip(*columns[3], strict=True)))
    sources, mattes, shapes, _, targets, target_mattes = columns
    joined = [torch.cat(column) for column in (sources, mattes, shapes, targets, target_mattes)]
    return Pair(joined[0], joined[1], joined[2], codes, joined[3], joined[4])
