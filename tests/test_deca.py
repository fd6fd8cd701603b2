"""DECA: names and shapes of the published weights, and the same answers; camera and light."""

from pathlib import Path

import numpy as np
import pytest
import torch
from published_nets import constants, deca_decoder, deca_encoder, listing_digest, random_networks
from scipy.special import sph_harm_y
from skimage.transform import estimate_transform, warp

from avatars.deca.camera import crop, crop_box, project, to_photo
from avatars.deca.light import shading
from avatars.deca.networks import Deca, load_deca, split_codes
from dnr.errors import InputError

PUBLISHED = {  # SHA-256 of the sorted lines "name (shape)"
    "E_flame": "e5ff44800f2d1b2639d916940356f646837b2a9b82a81b2c190461eddbbb7f09",
    "E_detail": "e38539934414f5d2410ce70c9d21fcd8196bb04c54615fcabf4b5ee5598aa925",
    "D_detail": "ff78f02a0662cad14ffc2f4e609361ed68fcc7d116e2c4125c66fb58f0b15d23",
}


@pytest.fixture(scope="module")
def deca() -> tuple[Deca, dict[str, dict[str, torch.Tensor]]]:
    """Random weights, and the same in float64."""
    return random_networks(Deca)


def test_names_and_shapes_are_the_published_ones(deca) -> None:
    assert {name: listing_digest(net) for name, net in deca[0].named_children()} == PUBLISHED


@torch.no_grad()
def test_networks_give_the_published_answers(deca, generator) -> None:
    networks, weights = deca
    image = torch.rand(1, 3, 224, 224, generator=generator)
    code = deca_encoder(weights["E_flame"], image.double())
    codes = networks.coarse(image)
    sliced = np.split(code.numpy(), [100, 150, 200, 206, 209], axis=1)
    for part, expected in zip(codes, sliced, strict=True):
        scale = max(np.abs(expected).max(), 1)
        np.testing.assert_allclose(part.reshape(1, -1), expected, atol=1e-5 * scale)
    detail = deca_encoder(weights["E_detail"], image.double())
    scale = max(float(detail.abs().max()), 1)
    torch.testing.assert_close(networks.E_detail(image).double(), detail, atol=1e-5 * scale, rtol=0)
    both = torch.cat([codes.pose[:, 3:], codes.expression, networks.E_detail(image)], dim=1)
    assert torch.equal(networks.displacement(image, codes), networks.D_detail(both))
    code = torch.randn(2, 181, generator=generator)
    expected = deca_decoder(weights["D_detail"], code.double())
    assert expected.std() > 1e-3
    answer = networks.D_detail(code).double()
    torch.testing.assert_close(answer, expected, atol=1e-7, rtol=0)  # of at most 0.01 m


def test_the_archive_loads_strictly(deca, tmp_path: Path) -> None:
    path = tmp_path / "deca_model.tar"
    content = {name: constants(net) for name, net in deca[0].named_children()}
    torch.save(content | {"opt": {"step": 3}}, path)  # checkpoints of the training carry that
    loaded = load_deca(path)
    for name, value in loaded.state_dict().items():
        part, _, rest = name.partition(".")
        assert torch.equal(value, content[part][rest].to(value.dtype))
    torch.save({"E_flame": content["E_flame"]}, path)
    with pytest.raises(InputError, match="has no E_detail"):
        load_deca(path)
    content["D_detail"].pop("l1.0.bias")
    torch.save(content, path)
    with pytest.raises(InputError, match=r"D_detail, l1\.0\.bias is missing"):
        load_deca(path)
    with path.open("r+b") as file:
        file.truncate(10_000)
    with pytest.raises(InputError, match=r"deca_model\.tar is cut off or damaged"):
        load_deca(path)
    with pytest.raises(InputError, match="does not exist"):
        load_deca(tmp_path / "none.tar")


def test_the_crop_is_the_published_one(rng) -> None:
    image = rng.random((90, 120, 3))
    marks = rng.random((1, 68, 2)) * [60, 40] + [25, 30]  # pixels, centres at +0.5
    box = crop_box(torch.from_numpy(marks))
    low, high = marks[0].min(axis=0) - 0.5, marks[0].max(axis=0) - 0.5  # skimage's, centres at 0
    size = int((high - low).sum() / 2 * 1.1 * 1.25)
    (x, y), half = (low + high) / 2, size / 2
    corners = np.array([[x - half, y - half], [x - half, y + half], [x + half, y - half]])
    transform = estimate_transform("similarity", corners, np.array([[0, 0], [0, 223], [223, 0]]))
    expected = warp(image, transform.inverse, output_shape=(224, 224))
    cropped = crop(torch.from_numpy(image).permute(2, 0, 1)[None], box)
    np.testing.assert_allclose(cropped[0].permute(1, 2, 0), expected, atol=1e-6)

    points = torch.from_numpy(rng.normal(size=(1, 5, 3)))
    camera = torch.tensor([[8.0, 0.01, -0.02]], dtype=torch.float64)
    seen = project(points, camera)
    by_hand = 8 * (points + torch.tensor([0.01, -0.02, 0]))
    torch.testing.assert_close(seen, by_hand * torch.tensor([1.0, -1.0, -1.0]))
    pixels = to_photo(seen, box)[0].numpy() - 0.5
    np.testing.assert_allclose(
        transform(pixels), (seen[0, :, :2].numpy() + 1) * 112, atol=1e-6
    )  # a point at -1 is the crop's pixel 0


def test_light_is_the_clamped_cosine_of_spherical_harmonics(rng) -> None:
    normals = rng.normal(size=(2, 7, 3))
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    light = rng.normal(size=(2, 9, 3))
    polar, azimuth = np.arccos(normals[..., 2]), np.arctan2(normals[..., 1], normals[..., 0])
    order = [(0, 0), (1, 1), (1, -1), (1, 0), (2, -2), (2, 1), (2, -1), (2, 2), (2, 0)]
    cosine = {0: 1.0, 1: 2 * np.pi / 3, 2: np.pi / 4}  # DECA leaves band 0 without its pi
    total = np.zeros((2, 7, 3))
    for band, (degree, m) in enumerate(order):
        value = sph_harm_y(degree, abs(m), polar, azimuth)
        real = value.real if m >= 0 else value.imag
        real = real * (np.sqrt(2) * (-1) ** m if m else 1)
        total += cosine[degree] * real[..., None] * light[:, None, band]
    answer = shading(torch.from_numpy(normals), torch.from_numpy(light))
    np.testing.assert_allclose(answer, total, atol=1e-9)


def test_codes_must_be_as_many_as_the_encoder_gives() -> None:
    with pytest.raises(ValueError, match="236"):
        split_codes(torch.zeros(1, 200))
