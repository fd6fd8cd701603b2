"""Tensors come back exactly; damaged and hostile files are refused before they cost anything."""

import json
import os
import pickle
import resource
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError
from torch import Tensor

from dnr.errors import InputError
from dnr.tensor_files import load_tensors, save_tensors

SHAPES: dict[str, tuple[int, ...]] = {"texture.0": (3, 5, 7), "bias": (4,), "step": ()}


@pytest.fixture
def tensors(generator: torch.Generator) -> dict[str, Tensor]:
    values = {name: torch.randn(shape, generator=generator) for name, shape in SHAPES.items()}
    return values | {"bias": values["bias"].bfloat16(), "step": torch.tensor(12)}


def forged(path: Path, header: Any, data: bytes = b"") -> Path:
    """A file with any header in front of `data`."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def entry(shape: list[Any], start: int, end: int, dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def test_tensors_come_back(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    path = tmp_path / "weights.safetensors"
    save_tensors(path, tensors)
    loaded = load_tensors(path, SHAPES)
    assert loaded.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert loaded[name].dtype == tensor.dtype
        assert torch.equal(loaded[name], tensor)


def test_views_and_transposed_tensors_are_saved(tmp_path: Path) -> None:
    weight = torch.arange(6.0, requires_grad=True).reshape(2, 3).T
    save_tensors(tmp_path / "w", {"weight": weight})
    assert torch.equal(load_tensors(tmp_path / "w")["weight"], weight.detach())


@pytest.mark.parametrize(
    ("expected", "words"),
    [
        (SHAPES | {"extra": (2,)}, "extra is missing"),
        ({"texture.0": (3, 5, 7), "bias": (4,)}, "'step' does not belong"),
        (SHAPES | {"bias": (5,)}, r"bias has shape \[4\] instead of \[5\]"),
        (SHAPES | {"texture.0": (3, 7, 5)}, r"instead of \[3, 7, 5\]"),
    ],
)
def test_another_asset_is_refused(
    tmp_path: Path, tensors: dict[str, Tensor], expected: dict[str, Any], words: str
) -> None:
    save_tensors(tmp_path / "w.safetensors", tensors)
    with pytest.raises(InputError, match=words):
        load_tensors(tmp_path / "w.safetensors", expected)


def test_every_truncation_is_refused(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    path = tmp_path / "w.safetensors"
    save_tensors(path, tensors)
    whole = path.read_bytes()
    for length in [*range(len(whole) - 1, 0, -13), 7, 0]:
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"w\.safetensors is damaged"):
            load_tensors(path)
    path.write_bytes(whole + b"\0")
    with pytest.raises(InputError, match="damaged"):
        load_tensors(path)


@pytest.mark.parametrize(
    "header",
    [
        {"a": entry([1 << 40], 0, 1 << 42)},  # 4 TiB, declared in full
        {"a": entry([1 << 40], 0, 16)},
        {"a": entry([1 << 62, 4], 0, 0)},  # the product is 0 in 64 bits
        {"a": entry([9] * 500_000, 0, 16)},
        {"a": entry([-2, -2], 0, 16)},
        {"a": entry([True, 4], 0, 16)},
        {"a": entry([4.0], 0, 16)},
        {"a": entry([4], -16, 0)},
        {"a": entry([4], 0, 16), "b": entry([4], 0, 16)},  # overlap
        {"a": entry([1], 0, 4), "b": entry([2], 8, 16)},  # gap
        {"a": entry([4], 0, 16, dtype="F99")},
        {"a": [1, 2, 3]},
        [entry([4], 0, 16)],
        b"{" * 100_000,
        b"not json",
    ],
)
def test_hostile_headers_are_refused_at_no_cost(tmp_path: Path, header: Any) -> None:
    path = forged(tmp_path / "w.safetensors", header, data=bytes(16))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match="damaged"):
        load_tensors(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024  # KiB


@pytest.mark.parametrize("length", [0, 1 << 30, (1 << 64) - 1])
def test_hostile_header_lengths_are_refused(tmp_path: Path, length: int) -> None:
    (tmp_path / "w").write_bytes(struct.pack("<Q", length) + b"{}")
    with pytest.raises(InputError, match="damaged"):
        load_tensors(tmp_path / "w")


class Bomb:
    def __reduce__(self) -> Any:
        return os.mkdir, (os.environ["BOMB_FOLDER"],)


@pytest.mark.parametrize("protocol", [2, 4, 5, "zip"])
def test_pickles_are_never_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: Any
) -> None:
    monkeypatch.setenv("BOMB_FOLDER", str(tmp_path / "exploded"))
    path = tmp_path / "w.pt"
    if protocol == "zip":
        torch.save({"weights": Bomb()}, path)
    else:
        path.write_bytes(pickle.dumps({"weights": Bomb()}, protocol))
    with pytest.raises(InputError, match=r"w\.pt was written by torch\.save.*can run code"):
        load_tensors(path)
    assert not (tmp_path / "exploded").exists()


def test_a_header_that_looks_like_a_pickle_is_read(tmp_path: Path) -> None:
    """Length 0x0280 starts with the byte 0x80, as pickles do."""
    text = json.dumps({"a": entry([4], 0, 16)}).encode().ljust(0x0280)
    assert torch.equal(load_tensors(forged(tmp_path / "w", text, bytes(16)))["a"], torch.zeros(4))


def test_limits_and_missing_files(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    save_tensors(tmp_path / "w", tensors)
    with pytest.raises(InputError, match="more than the"):
        load_tensors(tmp_path / "w", limit_bytes=100)
    with pytest.raises(InputError, match="does not exist"):
        load_tensors(tmp_path / "nothing")


def test_values_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    save_tensors(tmp_path / "w", {"a": torch.tensor([1.0, float("nan")])})
    with pytest.raises(InputError, match="a holds values that are not finite"):
        load_tensors(tmp_path / "w")


def test_a_full_disk_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(tensors: dict[str, Tensor], path: Path) -> None:
        path.write_bytes(b"half")  # the message is what the library says on a full disk
        reason = "Error while serializing: I/O error: No space left on device (os error 28)"
        raise SafetensorError(reason)

    save_tensors(tmp_path / "w", {"a": torch.ones(2)})
    monkeypatch.setattr("dnr.tensor_files.save_file", full)
    with pytest.raises(InputError, match="w cannot be written: the disk is full"):
        save_tensors(tmp_path / "w", {"a": torch.zeros(2)})
    assert torch.equal(load_tensors(tmp_path / "w")["a"], torch.ones(2))
    assert [path.name for path in tmp_path.iterdir()] == ["w"]


def test_files_are_as_readable_as_any_other(tmp_path: Path) -> None:
    save_tensors(tmp_path / "a.safetensors", {"a": torch.zeros(2)})
    (tmp_path / "b").touch()
    modes = {path.stat().st_mode for path in tmp_path.iterdir()}
    assert len(modes) == 1
