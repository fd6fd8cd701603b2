"""Prepared photos: undistortion against OpenCV's projection, sizes, masks, and stored formats."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from scipy.spatial.transform import Rotation

from dnr.capture import photos as preparation
from dnr.capture.folder import load_capture
from dnr.capture.photos import Photos, prepare_photos
from dnr.capture.stored_images import read_mask, read_rgba
from dnr.capture.undistort import Distortion, pinhole_map
from dnr.errors import InputError

DISTORTION = (0.06, -0.08, -0.004, 0.003, 0.02)
MATRIX = np.array([[70.0, 0, 58], [0, 74, 47], [0, 0, 1]])  # pixel centres at +0.5
SIZE = (96, 120)


def capture_of(folder: Path, images: dict[str, Image.Image], **frame: Any) -> Path:
    for name, image in images.items():
        image.save(folder / name)
    frames = [
        {"file_path": name, "transform_matrix": np.eye(4).tolist(), **frame}
        for name in images
        if not name.startswith("mask")
    ]
    document = {"fl_x": 70.0, "fl_y": 74.0, "frames": frames}
    (folder / "transforms.json").write_text(json.dumps(document))
    (folder / "mesh.obj").write_text("v 0 0 -5\nv 1 0 -5\nv 0 1 -5\nf 1 2 3\n")
    return folder


def prepared(folder: Path, height: int | None = None) -> Photos:
    return prepare_photos(load_capture(folder), folder / "prepared", height)


def noise(rng: np.random.Generator, channels: int = 3, size: tuple[int, int] = SIZE) -> Any:
    return Image.fromarray(rng.integers(0, 256, (*size, channels), dtype=np.uint8))


def centroid(image: np.ndarray) -> np.ndarray:
    """Column and row of a bright blob, pixel centres at +0.5."""
    weight = np.where(image > 0.02 * image.max(), image, 0)
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]] + 0.5
    return np.array([(weight * columns).sum(), (weight * rows).sum()]) / weight.sum()


@pytest.mark.parametrize("ringing", [True, False])
@pytest.mark.parametrize(
    "distortion", [DISTORTION, (-0.35, 0.1, 0.01, -0.02, 0), (0.3, 0, 0, 0, 0)]
)
def test_pixels_come_from_where_opencv_projects_them(distortion: Distortion, ringing: bool) -> None:
    """A photo whose colours are its own pixel coordinates tells where each pixel was taken from."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]].astype(np.float32) + np.float32(0.5)
    pinhole = pinhole_map(MATRIX, distortion, SIZE)
    straight = pinhole.resample(np.dstack([columns, rows]), ringing=ringing)
    seen = seen_with_distortion(distortion).reshape(*SIZE, 2)
    inner = pinhole.valid & ((seen > 4) & (seen < [SIZE[1] - 4, SIZE[0] - 4])).all(axis=-1)
    assert inner.mean() > 0.5
    np.testing.assert_allclose(straight[inner], seen[inner], atol=0.05)  # OpenCV: in 1/32 pixels


def seen_with_distortion(distortion: Distortion) -> np.ndarray:  # [H * W, 2]
    """Column and row in the photo, centres at +0.5, of what each pixel of the pinhole sees."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    pixels = np.stack([columns + 0.5, rows + 0.5, np.ones(SIZE)], axis=-1).reshape(-1, 3)
    opencv = MATRIX.copy()
    opencv[:2, 2] -= 0.5
    rays, still = pixels @ np.linalg.inv(MATRIX).T, np.zeros(3)
    seen, _ = cv2.projectPoints(rays, still, still, opencv, np.array(distortion))
    return seen[:, 0] + 0.5


def test_valid_is_what_the_photo_shows() -> None:
    """The rays of valid pixels, and of no others, hit the photo when distorted by OpenCV."""
    valid = pinhole_map(MATRIX, DISTORTION, SIZE).valid
    seen = seen_with_distortion(DISTORTION)
    inside = ((seen >= 0) & (seen <= [SIZE[1], SIZE[0]])).all(axis=1)
    assert (valid.reshape(-1) == inside).mean() > 0.999
    assert 0.5 < valid.mean() < 1, "the lens must be worth testing"


def test_a_polynomial_that_turns_back_shows_nothing_twice() -> None:
    """r - 0.4 r^3 grows up to r = 0.91 only: the corners would show the inside again."""
    wide = np.array([[40.0, 0, 60], [0, 40, 48], [0, 0, 1]])
    valid = pinhole_map(wide, (-0.4, 0, 0, 0, 0), SIZE).valid
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    radius = np.hypot((columns - 60) / 40, (rows - 48) / 40)
    assert not valid[radius > 0.92].any()
    assert valid[radius < 0.9].all()


def test_photos_without_distortion_stay_as_they_are(tmp_path: Path, rng) -> None:
    images = {"a.png": noise(rng), "b.png": noise(rng, size=(50, 40))}
    photos = prepared(capture_of(tmp_path, images))
    assert len(photos) == 2
    for number, image in enumerate(images.values()):
        photo = photos[number]
        assert photo.rgb.dtype == np.uint8
        np.testing.assert_array_equal(photo.rgb, np.asarray(image))
        assert (photo.alpha == 255).all()
        assert (photo.valid == 255).all()
        assert photos.cameras[number].size == photo.alpha.shape
    assert isinstance(photos[0].rgb.base, np.memmap)
    assert photos.of("test").names == ["a.png"]
    assert photos.of("train").names == ["b.png"]
    assert sorted(path.name for path in (tmp_path / "prepared").iterdir()) == [
        "0000.npy",
        "0001.npy",
    ]


def test_reducing_averages_areas(tmp_path: Path, rng) -> None:
    image = noise(rng)
    photos = prepared(capture_of(tmp_path, {"a.png": image}), height=32)
    expected = np.asarray(image, float).reshape(32, 3, 40, 3, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(photos[0].rgb, expected, atol=0.51)
    assert photos.cameras[0].size == (32, 40)
    assert photos.cameras[0].intrinsics[0, 0, 0] == pytest.approx(70 / 3)
    bigger = prepared(tmp_path, height=500)
    assert bigger[0].alpha.shape == SIZE


def test_straight_lines_stay_where_the_camera_says(tmp_path: Path) -> None:
    """Through the whole chain: OpenCV draws with distortion, our camera finds the blob again."""
    turn, shift = Rotation.from_euler("xyz", [0.1, -0.2, 0.3]), np.array([0.1, -0.1, 0.2])
    point = np.array([[0.3, -0.45, 4.0]])
    opencv = np.array([[70.0, 0, 59.5], [0, 74, 47.5], [0, 0, 1]])
    (drawn,), _ = cv2.projectPoints(point, turn.as_rotvec(), shift, opencv, np.array(DISTORTION))
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    blob = 255 * np.exp(-((columns - drawn[0, 0]) ** 2 + (rows - drawn[0, 1]) ** 2) / 18)
    to_camera = np.eye(4)
    to_camera[:3, :3], to_camera[:3, 3] = turn.as_matrix(), shift
    to_world = np.linalg.inv(to_camera) @ np.diag([1, -1, -1, 1])
    lens = dict(zip(("k1", "k2", "p1", "p2", "k3"), DISTORTION, strict=True))
    image = Image.fromarray(blob.round().astype(np.uint8))
    folder = capture_of(tmp_path, {"a.png": image}, transform_matrix=to_world.tolist(), **lens)
    photos = prepared(folder, height=48)
    seen = photos.cameras[0].project(torch.from_numpy(point).float())[0, 0, :2]
    np.testing.assert_allclose(centroid(photos[0].rgb[..., 0].astype(float)), seen, atol=0.06)


def test_masks_become_alpha_and_follow_the_lens(tmp_path: Path) -> None:
    mask = np.zeros(SIZE, np.uint8)
    mask[:, 60:] = 255
    images = {
        "a.png": Image.new("RGB", (SIZE[1], SIZE[0]), (9, 99, 199)),
        "mask.png": Image.fromarray(mask),
    }
    folder = capture_of(tmp_path, images, mask_path="mask.png", k1=0.1)
    photo = prepared(folder, height=48)[0]
    assert photo.alpha[24, 10] == 0
    assert photo.alpha[24, 50] == 255
    assert (photo.rgb[photo.valid > 0] == [9, 99, 199]).all()
    assert photo.valid[0, 0] == 0
    assert photo.valid[24, 30] == 255


def test_what_is_invisible_does_not_darken_the_border(tmp_path: Path) -> None:
    rgba = np.zeros((*SIZE, 4), np.uint8)
    rgba[..., 1] = 255  # green that nobody can see
    rgba[:, 31:] = [200, 100, 50, 255]  # the border falls into the middle of a reduced pixel
    photo = prepared(capture_of(tmp_path, {"a.png": Image.fromarray(rgba)}), height=32)[0]
    assert photo.alpha[5, 10] == 170
    np.testing.assert_allclose(photo.rgb[5, 10].astype(int), [200, 100, 50], atol=1)


def stored(folder: Path, image: Image.Image, name: str) -> np.ndarray:
    image.save(folder / name)
    return read_rgba(folder / name)


def test_all_kinds_of_pixels_become_rgba(tmp_path: Path) -> None:
    ramp = np.arange(0, 65536, 257, dtype=np.uint16).reshape(16, 16)
    deep = stored(tmp_path, Image.fromarray(ramp), "deep.png")
    np.testing.assert_array_equal(deep[..., 1], np.arange(256).reshape(16, 16))
    cv2.imwrite(str(tmp_path / "deep_rgb.png"), np.stack([ramp, 0 * ramp, ramp], axis=-1))
    np.testing.assert_array_equal(read_rgba(tmp_path / "deep_rgb.png")[..., 0], deep[..., 0])
    colour = Image.new("RGB", (4, 3), (200, 30, 90))
    for name, image in {
        "cmyk.jpg": colour.convert("CMYK"),
        "cmyk.tif": colour.convert("CMYK"),
        "palette.png": colour.convert("P", palette=Image.Palette.ADAPTIVE),
    }.items():
        pixels = stored(tmp_path, image, name)
        assert pixels.shape == (3, 4, 4)
        np.testing.assert_allclose(pixels[1, 1], [200, 30, 90, 255], atol=4, err_msg=name)
    assert stored(tmp_path, Image.new("LA", (4, 3), (7, 8)), "la.png")[0, 0].tolist() == [
        7,
        7,
        7,
        8,
    ]
    assert stored(tmp_path, Image.new("1", (4, 3), 1), "bit.png")[0, 0].tolist() == [255] * 4


def test_rows_are_taken_as_stored(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (8, 6)).save(tmp_path / "turned.jpg", exif=exif)
    assert read_rgba(tmp_path / "turned.jpg").shape == (6, 8, 4)


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_photos_cut_short_are_named(suffix: str, tmp_path: Path, rng) -> None:
    folder = capture_of(tmp_path, {f"a.{suffix}": noise(rng)})
    data = (folder / f"a.{suffix}").read_bytes()
    (folder / f"a.{suffix}").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match=rf"a\.{suffix} cannot be read"):
        prepared(folder)


def test_masks_of_zeros_and_ones_are_named(tmp_path: Path) -> None:
    Image.fromarray(np.eye(5, dtype=np.uint8)).save(tmp_path / "mask.png")
    with pytest.raises(InputError, match=r"mask\.png holds only 0 and 1"):
        read_mask(tmp_path / "mask.png")


def test_floating_point_photos_are_named(tmp_path: Path) -> None:
    Image.fromarray(np.ones((4, 4), np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(InputError, match=r"a\.tif holds floating-point"):
        read_rgba(tmp_path / "a.tif")


def test_a_full_disk_is_told_before_the_work(tmp_path: Path, rng, monkeypatch) -> None:
    folder = capture_of(tmp_path, {"a.png": noise(rng)})
    usage = preparation.shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(preparation.shutil, "disk_usage", lambda place: usage)
    with pytest.raises(InputError, match=r"photos need .* free"):
        prepared(folder)
    assert not (folder / "prepared").exists()
