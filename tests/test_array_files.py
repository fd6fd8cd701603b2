import zipfile
from pathlib import Path

import numpy as np
import pytest

from dnr.array_files import load_arrays, save_arrays
from dnr.errors import InputError


def test_arrays_come_back_as_numpy_itself_reads_them(tmp_path: Path, rng) -> None:
    arrays = {
        "a": rng.normal(size=(3, 5, 2)),
        "mask": rng.random(7) > 0.5,
        "turned": np.asfortranarray(rng.normal(size=(4, 6)).astype(np.float32)),
        "nothing": np.zeros((0, 4)),
        "name": np.array("a head"),
    }
    save_arrays(tmp_path / "some.npz", arrays)
    back, reference = load_arrays(tmp_path / "some.npz"), np.load(tmp_path / "some.npz")
    assert back.keys() == arrays.keys()
    for name, values in back.items():
        assert values.dtype == reference[name].dtype
        np.testing.assert_array_equal(values, reference[name])
    np.savez_compressed(tmp_path / "packed.npz", a=arrays["a"])
    np.testing.assert_array_equal(load_arrays(tmp_path / "packed.npz")["a"], arrays["a"])


def test_files_that_lie_or_would_run_something_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no file"):
        load_arrays(tmp_path / "missing.npz")
    (tmp_path / "text.npz").write_text("not an archive")
    np.savez(tmp_path / "objects.npz", a=np.array([{"run": "me"}], dtype=object))
    np.savez_compressed(tmp_path / "bomb.npz", a=np.zeros(1 << 20))
    save_arrays(tmp_path / "good.npz", {"a": np.zeros((2, 3))})
    with zipfile.ZipFile(tmp_path / "good.npz") as archive:
        data = archive.read("a.npy").replace(b"(2, 3)", b"(9, 9)")
    with zipfile.ZipFile(tmp_path / "lying.npz", "w") as archive:
        archive.writestr("a.npy", data)
    whole = (tmp_path / "good.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    for name, words in (
        ("text", "not a usable archive"),
        ("objects", "Python objects"),
        ("bomb", "more than 1 MiB"),
        ("lying", "declares 648 bytes and holds 48"),
        ("cut", "not a usable archive"),
    ):
        with pytest.raises(InputError, match=words):
            load_arrays(tmp_path / f"{name}.npz", limit_bytes=1 << 20)
    with pytest.raises(ValueError, match="numbers or text"):
        save_arrays(tmp_path / "no.npz", {"a": np.array([None])})
