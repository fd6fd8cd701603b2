"""Pickles of arrays are read, and what else is in them is never run."""

import io
import pickle
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch

from avatars.array_pickles import read_npy, read_pickle
from dnr.errors import InputError


class Payload:
    """Runs when it is unpickled in the usual way."""

    def __init__(self, call: Callable[..., Any], *arguments: Any) -> None:
        self.reduced = call, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.reduced


@pytest.mark.parametrize("protocol", range(6))
def test_values_come_back_as_they_were_pickled(tmp_path: Path, rng, protocol: int) -> None:
    content = {
        "floats": rng.normal(size=(3, 4)),
        "by_columns": np.asfortranarray(rng.normal(size=(2, 5)).astype(np.float32)),
        "big_endian": np.arange(6, dtype=">i4"),
        "flags": np.array([True, False]),
        "one": np.float32(1.5),
        "nested": [{"ids": np.arange(3)}, (1, "two", None, b"\xff\x00")],
        "sparse": scipy.sparse.csc_matrix(np.diag([1.0, 0.0, 3.0])),
        "tensor": torch.arange(6.0).reshape(2, 3),
    }
    path = tmp_path / "values.pkl"
    path.write_bytes(pickle.dumps(content, protocol))
    read = read_pickle(path)
    for name in ("floats", "by_columns", "big_endian", "flags"):
        np.testing.assert_array_equal(read[name], content[name])
    assert read["one"] == 1.5 and read["floats"].dtype == np.float64
    np.testing.assert_array_equal(read["nested"][0]["ids"], [0, 1, 2])
    assert read["nested"][1] == (1, "two", None, b"\xff\x00")
    np.testing.assert_array_equal(read["sparse"], np.diag([1.0, 0.0, 3.0]))
    np.testing.assert_array_equal(read["tensor"], [[0, 1, 2], [3, 4, 5]])


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_payload_is_refused_and_does_not_run(tmp_path: Path, protocol: int) -> None:
    mark = tmp_path / "it ran"
    for call in (Path.touch, subprocess.check_output, eval):
        payload = {Path.touch: mark, eval: f"open({str(mark)!r}, 'w')"}.get(call, ["touch", mark])
        path = tmp_path / "hostile.pkl"
        path.write_bytes(pickle.dumps({"v_template": Payload(call, payload)}, protocol))
        with pytest.raises(InputError, match="was not opened: it asks for"):
            read_pickle(path)
    assert not mark.exists()
    pickle.loads(pickle.dumps(Payload(Path.touch, mark)))
    assert mark.exists(), "the payload must be a real one"


def test_a_payload_inside_of_a_numpy_file_does_not_run(tmp_path: Path) -> None:
    mark, path = tmp_path / "it ran", tmp_path / "hostile.npy"
    np.save(path, np.array(Payload(Path.touch, mark), object), allow_pickle=True)
    with pytest.raises(InputError, match="was not opened"):
        read_npy(path)
    inner = io.BytesIO()
    torch.save({"x": Payload(Path.touch, mark)}, inner)
    path.write_bytes(pickle.dumps(Payload(torch.storage._load_from_bytes, inner.getvalue())))
    with pytest.raises(InputError):
        read_pickle(path)
    assert not mark.exists()


def test_numpy_files_with_objects_are_read(tmp_path: Path, rng) -> None:
    table = {"faces": rng.integers(0, 9, 5), "weights": torch.rand(5, 3, dtype=torch.float64)}
    np.save(tmp_path / "table.npy", np.array(table, object), allow_pickle=True)
    read = read_npy(tmp_path / "table.npy")
    np.testing.assert_array_equal(read["faces"], table["faces"])
    np.testing.assert_array_equal(read["weights"], table["weights"].numpy())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not a pickle",
        pickle.dumps({"x": np.zeros(50)})[:-40],
        # an array of a million million rows
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R."
        b"(K\x01\x8a\x06\x00\x10\xa5\xd4\xe8\x00\x85cnumpy\ndtype\nU\x02f8K\x00K\x01\x87R\x89U\x00tb.",
        b"\x80\x02]q\x00r\xff\xff\xff\x7f.",  # a note with the number 2147483647
        b"\x80\x02" + b"]" * 5000 + b"a" * 4999 + b".",  # lists in lists
    ],
)
def test_damaged_and_greedy_files_end_in_a_sentence_at_once(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "damaged.pkl"
    path.write_bytes(data)
    start = time.process_time()
    with pytest.raises(InputError, match=r"damaged\.pkl"):
        read_pickle(path)
    assert time.process_time() - start < 1


def test_a_list_inside_of_itself_ends_in_a_sentence(tmp_path: Path) -> None:
    knot: list[Any] = []
    knot.append(knot)
    (tmp_path / "knot.pkl").write_bytes(pickle.dumps(knot))
    with pytest.raises(InputError, match="nested too deeply"):
        read_pickle(tmp_path / "knot.pkl")


def test_shared_values_are_made_once(tmp_path: Path) -> None:
    layer: Any = [0]
    for _ in range(60):  # 2 ** 60 values when written out
        layer = [layer, layer]
    (tmp_path / "laughs.pkl").write_bytes(pickle.dumps(layer))
    assert len(read_pickle(tmp_path / "laughs.pkl")) == 2
