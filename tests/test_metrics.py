import hashlib
import sys
from typing import Any

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from dnr.training import metrics
from dnr.training.metrics import lpips_or_none, psnr, ssim


def pair(height: int = 37, width: int = 52) -> tuple[torch.Tensor, torch.Tensor]:
    """A smooth picture and a noisy one of it, different for each of the two batch entries."""
    generator = torch.Generator().manual_seed(3)
    coarse = torch.rand(2, 3, 5, 7, generator=generator)
    target = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic").clamp(0, 1)
    spread = torch.tensor([0.02, 0.2]).reshape(2, 1, 1, 1)
    return target + spread * torch.randn(target.shape, generator=generator), target


def test_psnr_of_a_constant_offset() -> None:
    target = torch.full((2, 3, 5, 8), 0.5, dtype=torch.float64)
    offset = torch.tensor([0.1, 0.01], dtype=torch.float64).reshape(2, 1, 1, 1)
    expected = torch.tensor([20.0, 40.0], dtype=torch.float64)
    torch.testing.assert_close(psnr(target + offset, target), expected)


def test_psnr_of_known_noise() -> None:
    noise = 0.05 * torch.randn(3, 3, 300, 200, generator=torch.Generator().manual_seed(0))
    expected = torch.full((3,), -20 * np.log10(0.05))
    torch.testing.assert_close(
        psnr(0.5 + noise, torch.full_like(noise, 0.5)), expected, atol=0.05, rtol=0
    )


def test_psnr_clamps_the_prediction_only() -> None:
    white = torch.ones(1, 3, 4, 6)
    assert psnr(white + 5, white).isinf().all()


def test_weighted_psnr_looks_at_the_weighted_pixels_only() -> None:
    prediction, target = pair()
    weight = torch.zeros(2, 37, 52)
    weight[:, 5:20, 10:30] = 1
    inside = psnr(prediction[..., 5:20, 10:30], target[..., 5:20, 10:30])
    torch.testing.assert_close(psnr(prediction, target, weight), inside)
    assert psnr(prediction, target, torch.zeros(2, 37, 52)).isnan().all()


def test_ssim_agrees_with_scikit_image() -> None:
    prediction, target = pair()
    expected: list[Any] = [  # a float, of the many things it can return
        structural_similarity(
            a.clamp(0, 1).double().numpy(),
            b.double().numpy(),
            channel_axis=0,
            data_range=1.0,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
        for a, b in zip(prediction, target, strict=True)
    ]
    assert 0.1 < expected[1] < expected[0] < 0.99, "the pictures must be worth comparing"
    np.testing.assert_allclose(ssim(prediction.double(), target.double()), expected, atol=1e-7)
    np.testing.assert_allclose(ssim(prediction, target), expected, atol=1e-6)


def test_ssim_of_flat_pictures() -> None:
    """Without variance only the term for brightness is left."""
    a, b = torch.full((1, 3, 11, 15), 0.3), torch.full((1, 3, 11, 15), 0.6)
    expected = (2 * 0.3 * 0.6 + 1e-4) / (0.3**2 + 0.6**2 + 1e-4)
    torch.testing.assert_close(ssim(a, b), torch.tensor([expected]), atol=1e-6, rtol=0)


def test_sizes_are_checked() -> None:
    with pytest.raises(ValueError, match="at least 11"):
        ssim(torch.zeros(1, 3, 10, 40), torch.zeros(1, 3, 10, 40))
    with pytest.raises(ValueError, match="prediction"):
        psnr(torch.zeros(1, 3, 5, 4), torch.zeros(2, 3, 5, 4))
    with pytest.raises(ValueError, match="weight"):
        psnr(torch.zeros(2, 3, 5, 4), torch.zeros(2, 3, 5, 4), torch.zeros(1, 5, 4))


FAKE_LPIPS = """
import torch


class LPIPS(torch.nn.Module):
    def __init__(self, net, version, pnet_rand, verbose):
        super().__init__()
        assert pnet_rand, "otherwise the package downloads"
        self.net = torch.nn.Module()
        self.net.slice1 = torch.nn.Sequential()
        self.net.slice1.add_module("0", torch.nn.Linear(1, 1))

    def forward(self, a, b, normalize):
        assert normalize
        return (a - b).abs().mean(dim=(1, 2, 3), keepdim=True) * self.net.slice1[0].weight
"""


@pytest.fixture
def backbone(tmp_path, monkeypatch):
    """Stand-ins for both packages, and the path of a backbone file that a test may fill."""
    (tmp_path / "lpips.py").write_text(FAKE_LPIPS)
    (tmp_path / "torchvision.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    yield tmp_path / "checkpoints" / metrics._BACKBONE
    for name in ("lpips", "torchvision"):
        sys.modules.pop(name, None)


def test_lpips_is_absent_without_its_backbone(backbone) -> None:
    metric, sentence = lpips_or_none()
    assert metric is None and "not in torch's cache" in sentence


def test_lpips_is_absent_with_a_damaged_backbone(backbone) -> None:
    backbone.parent.mkdir()
    backbone.write_bytes(b"not it")
    metric, sentence = lpips_or_none()
    assert metric is None and "damaged" in sentence


def test_lpips_takes_every_weight_from_the_file(backbone, monkeypatch) -> None:
    backbone.parent.mkdir()
    weights = {"features.0.weight": torch.tensor([[3.0]]), "features.0.bias": torch.tensor([0.0])}
    torch.save({**weights, "classifier.weight": torch.zeros(2)}, backbone)
    digits = hashlib.sha256(backbone.read_bytes()).hexdigest()[:8]
    monkeypatch.setattr(metrics, "_BACKBONE", f"alexnet-{digits}.pth")
    backbone.rename(backbone.with_name(f"alexnet-{digits}.pth"))
    metric, sentence = lpips_or_none()
    assert metric is not None and "AlexNet" in sentence
    distance = metric(torch.full((2, 3, 4, 6), 0.75), torch.full((2, 3, 4, 6), 0.5))
    torch.testing.assert_close(distance, torch.tensor([0.75, 0.75]))


def test_lpips_is_absent_when_its_packages_do_not_load(backbone, monkeypatch, tmp_path) -> None:
    backbone.parent.mkdir()
    backbone.write_bytes(b"x")
    digits = hashlib.sha256(b"x").hexdigest()[:8]
    monkeypatch.setattr(metrics, "_BACKBONE", f"alexnet-{digits}.pth")
    backbone.rename(backbone.with_name(f"alexnet-{digits}.pth"))
    (tmp_path / "lpips.py").write_text("raise RuntimeError('operator nms does not exist')")
    metric, sentence = lpips_or_none()
    assert metric is None and "operator nms does not exist" in sentence
