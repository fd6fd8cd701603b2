"""ROME's networks: names and shapes of the published weights, and the same answers."""

from pathlib import Path

import pytest
import torch
from published_nets import (
    constants,
    listing_digest,
    random_networks,
    rome_autoencoder,
    rome_mlp,
    rome_unet,
)

from avatars.rome.layers import harmonics
from avatars.rome.networks import Rome, load_rome
from dnr.errors import InputError

PUBLISHED = {  # SHA-256 of the sorted lines "name (shape)"
    "autoencoder": "cc7708d82170f870dd8a84a3dfd965705f930ec1f9bc2b6e2d9c826962c1f924",
    "mesh_deformer": "3aa33da47b1e0e991b75427c92f129aeb238f88f22facbe538597870c9c35269",
    "mlp_deformer": "d1790bc5917414011049d83c9b0727fbab32c6f0a3b46a05abf8a605125636c5",
    "unet": "48309f64ed06ddda102aee1cb63244e5b5d09f7b29be177c8f04bb7ddfd7a52b",
}


@pytest.fixture(scope="module")
def rome() -> tuple[Rome, dict[str, dict[str, torch.Tensor]]]:
    """Random weights, and the same in float64."""
    return random_networks(Rome)


def assert_equal(answer: torch.Tensor, expected: torch.Tensor) -> None:
    assert expected.std() > 1e-2, "the test must be worth something"
    scale = expected.abs().max().clamp(min=1)
    assert ((answer.double() - expected).abs().max() / scale) < 1e-5


def test_names_and_shapes_are_the_published_ones(rome) -> None:
    assert {name: listing_digest(net) for name, net in rome[0].named_children()} == PUBLISHED


@torch.no_grad()
def test_autoencoder(rome, generator) -> None:
    photo = torch.rand(2, 4, 16, 24, generator=generator)
    answer = rome[0].texture(photo[:, :3], photo[:, 3:])
    assert answer.shape == (2, 8, 16, 24)
    assert_equal(answer, rome_autoencoder(rome[1]["autoencoder"], photo.double()))


@torch.no_grad()
def test_mesh_deformer(rome, generator) -> None:
    texture = torch.randn(2, 8, 16, 24, generator=generator)
    positions = torch.randn(2, 3, 16, 24, generator=generator) / 10
    scaled = 5 * positions.double()
    waves = [f(scaled * k) for k in (1, 2, 4, 8, 16, 32) for f in (torch.sin, torch.cos)]
    inputs = torch.cat([texture.double(), scaled, *waves], dim=1)
    answer = rome[0].geometry(texture, positions)
    assert_equal(answer, rome_unet(rome[1]["mesh_deformer"], inputs))


@torch.no_grad()
def test_mlp_deformer(rome, generator) -> None:
    inputs = torch.randn(3, 50, 58, generator=generator)
    assert_equal(rome[0].mlp_deformer(inputs), rome_mlp(rome[1]["mlp_deformer"], inputs.double()))


@torch.no_grad()
def test_unet_gives_colours_and_a_matte(rome, generator) -> None:
    features = torch.randn(1, 8, 24, 16, generator=generator)
    normals = torch.randn(1, 3, 24, 16, generator=generator)
    inputs = torch.cat([features, harmonics(normals, dim=1)], dim=1).double()
    expected = rome_unet(rome[1]["unet"], inputs)
    colours, logits = rome[0].picture(features, normals)
    assert_equal(colours, 1 / (1 + torch.exp(-expected[:, :3])))
    assert_equal(logits, expected[:, 3:])


def test_a_file_loads_strictly(rome, tmp_path: Path) -> None:
    path, content = tmp_path / "rome.pth", constants(rome[0])
    torch.save(content | {"parametric_avatar.uv_grid": torch.zeros(1, 2, 2, 2)}, path)
    loaded = load_rome(path)
    for name, value in loaded.state_dict().items():
        assert torch.equal(value, content[name])
    assert not loaded.training
    for changed, words in (
        ({"unet.to_outputs.bias": torch.zeros(5)}, "unet, to_outputs.bias is"),
        ({"unet.extra": torch.zeros(5)}, "unet, extra does not belong"),
        ({"basis_deformer.backbone.fc.bias": torch.zeros(5)}, "another variant"),
        ({"mlp_deformer.block_1.0.bias": torch.full((256,), torch.nan)}, "not finite"),
    ):
        torch.save(content | changed, path)
        with pytest.raises(InputError, match=words):
            load_rome(path)
    del content["autoencoder.net.25.bias"]
    torch.save(content, path)
    with pytest.raises(InputError, match=r"autoencoder, net\.25\.bias is missing"):
        load_rome(path)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    with pytest.raises(InputError, match=r"rome\.pth is cut off or damaged"):
        load_rome(path)
    with pytest.raises(InputError, match="does not exist"):
        load_rome(tmp_path / "nothing.pth")
