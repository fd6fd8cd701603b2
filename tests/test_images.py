import io

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from dnr.errors import InputError
from dnr.images import (
    contact_sheet,
    error_image,
    heat_image,
    images_from_tensor,
    jpeg_bytes,
    tensor_from_images,
    write_png,
)


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_every_level_survives_the_way_there_and_back() -> None:
    levels = np.arange(256 * 3, dtype=np.uint16).astype(np.uint8).reshape(2, 8, 16, 3)
    tensor = tensor_from_images(levels)
    assert tensor.shape == (2, 3, 8, 16)
    assert tensor[1, 2, 3, 5] == levels[1, 3, 5, 2] / np.float32(255)
    np.testing.assert_array_equal(images_from_tensor(tensor), levels)


def test_tensors_follow_their_example_and_lists_are_joined() -> None:
    tensor = tensor_from_images([noise(4, 6), noise(4, 6, 1)], like=torch.zeros(0).double())
    assert tensor.dtype == torch.float64 and tensor.shape == (2, 3, 4, 6)


def test_colours_are_rounded_and_clamped() -> None:
    tensor = torch.tensor([-3.0, 0.4 / 255, 0.6 / 255, 7.0]).reshape(1, 1, 2, 2).expand(1, 3, 2, 2)
    assert images_from_tensor(tensor)[0, ..., 0].tolist() == [[0, 0], [1, 255]]


def test_other_arrays_are_refused() -> None:
    with pytest.raises(ValueError, match="uint8"):
        tensor_from_images(np.zeros((4, 6, 3)))
    with pytest.raises(ValueError, match="uint8"):
        jpeg_bytes(np.zeros((4, 6), np.uint8))


def test_png_is_read_back_by_another_library(tmp_path) -> None:
    image = noise(7, 12)
    write_png(tmp_path / "new" / "picture.png", image)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "new/picture.png")), image)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["picture.png"]


def test_a_png_that_cannot_be_written_is_reported_and_leaves_nothing(tmp_path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match=r"picture\.png"):
        write_png(tmp_path / "file" / "picture.png", noise(4, 4))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_jpeg_keeps_channels_in_order() -> None:
    image = np.full((16, 24, 3), (200, 90, 20), np.uint8)
    back = np.asarray(Image.open(io.BytesIO(jpeg_bytes(image)))).astype(int)
    assert np.abs(back - image).max() <= 3


def test_heat_runs_from_black_to_pale_yellow_and_grows_brighter() -> None:
    heat = heat_image(np.linspace(0, 2, 201)[None], scale=1.0)
    assert heat[0, 0].tolist() == [0, 0, 4]  # the ends of the inferno colour map
    assert (heat[0, 100:] == [252, 255, 164]).all()
    brightness = heat[0].astype(float) @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(brightness) >= -0.5).all()


def test_error_shows_the_mean_absolute_difference() -> None:
    truth = np.full((4, 6, 3), 100, np.uint8)
    render = truth.copy()
    render[1, 2] = (100, 85, 130)  # 0, -15 and +30 levels: neither wraps around nor cancels
    expected = np.zeros((4, 6))
    expected[1, 2] = 15 / 255
    shown = error_image(truth, render, scale=0.25)
    np.testing.assert_array_equal(shown, heat_image(expected, 0.25))
    with pytest.raises(ValueError, match="shape"):
        error_image(truth, render[1:])


def test_contact_sheet_holds_every_picture_and_its_caption() -> None:
    rows = [[noise(20, 90), noise(30, 60, 1)], [noise(25, 50, 2)]]
    sheet = contact_sheet(rows, [["truth", "a caption much too long for it"], [""]])
    for image in (image for row in rows for image in row):
        match = cv2.matchTemplate(sheet, image, cv2.TM_SQDIFF)
        assert match.min() < 1, "the picture is there, pixel by pixel"
    ink = (sheet[:30].max(axis=-1) < 120).any(axis=0)  # columns with text in the line of captions
    assert ink[8:98].any() and ink[106:166].any()
    assert not ink[:8].any() and not ink[98:106].any() and not ink[166:].any()


def test_contact_sheet_wants_one_caption_per_picture() -> None:
    with pytest.raises(ValueError, match="caption"):
        contact_sheet([[noise(4, 4)]], [[]])
    with pytest.raises(ValueError, match="picture"):
        contact_sheet([], [])
