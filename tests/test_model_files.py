"""Users' licensed files: where they are looked for, and what is said about them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from flame_files import flame_arrays, write_flame
from rome_files import write_rome_folder

from avatars.model_files import (
    ENGINES,
    FLAME,
    ROME_WEIGHTS,
    choose_engine,
    find_file,
    models_folder,
    need_file,
)
from avatars.model_report import report_models
from dnr.errors import InputError


def test_the_folder_is_the_given_one_or_the_variable_or_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DNR_MODELS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("sys.platform", "linux")
    assert models_folder() == tmp_path / "cache" / "dnr" / "models"
    monkeypatch.setenv("DNR_MODELS", str(tmp_path / "mine"))
    assert models_folder() == tmp_path / "mine"
    assert models_folder(tmp_path) == tmp_path
    with pytest.raises(InputError, match="not a folder"):
        models_folder(tmp_path / "nowhere")


def test_files_are_found_in_any_arrangement(tmp_path: Path) -> None:
    deep = tmp_path / "rome" / "DECA" / "data"
    deep.mkdir(parents=True)
    (deep / "generic_model.pkl").touch()
    assert find_file(FLAME, tmp_path) == deep / "generic_model.pkl"
    (tmp_path / "generic_model.pkl").touch()
    assert find_file(FLAME, tmp_path) == tmp_path / "generic_model.pkl"
    with pytest.raises(InputError) as refusal:
        need_file(ROME_WEIGHTS, tmp_path)
    for word in ("rome.pth", "github.com/SamsungLabs/rome", "Samsung licence", "--models"):
        assert word in str(refusal.value)


def test_the_report_says_what_would_run_and_what_is_missing(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    empty = report_models(tmp_path)
    assert empty[-1][0] == "portraits" and "built-in" in empty[-1][1]
    assert ("DECA", "would not run; it lacks") in empty
    text = " ".join(text for _, text in empty)
    assert "deca_model.tar" in text and "rome.pth" in text and "Samsung licence" in text
    write_flame(tmp_path / "flame2023.pkl", flame_arrays(rng))
    (tmp_path / "deca_model.tar").write_bytes(b"half of it")
    (tmp_path / "vgg19-dcbb9e9d.pth").write_bytes(b"another file")
    lines = [text for _, text in report_models(tmp_path)]
    assert any("flame2023.pkl, sha256" in text for text in lines)
    for name in ("deca_model.tar", "vgg19-dcbb9e9d.pth"):
        assert any(name in text and "damaged" in text for text in lines)


def test_rome_would_run_only_with_files_that_fit_each_other(
    tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    write_rome_folder(tmp_path / "all", rng)
    lines = report_models(tmp_path)
    assert ("ROME", "would run") in lines and ("ROME, linear", "would run") in lines
    assert lines[-1][1].startswith("reenact.py on a photo would use ROME")
    torch.save(torch.zeros(1, 7, 3, dtype=torch.long), tmp_path / "all" / "data" / "faces_v2.pth")
    lines = report_models(tmp_path)
    assert any("the faces and their uvs do not fit" in text for _, text in lines)
    assert ("ROME", "would not run: see the file above") in lines
    assert "would stop at the file above" in lines[-1][1]
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert "built-in" in report_models(tmp_path)[-1][1]


def test_auto_takes_rome_only_where_it_is_whole_and_quick(tmp_path: Path) -> None:
    assert choose_engine("auto", tmp_path, True).engine == "built-in"
    assert "dnr doctor" in choose_engine("auto", tmp_path, True).why
    for wanted in ENGINES["ROME"]:
        (tmp_path / wanted.names[0]).touch()
    assert choose_engine("auto", tmp_path, True).engine == "ROME"
    slow = choose_engine("auto", tmp_path, False)
    assert slow.engine == "built-in" and "--engine rome" in slow.why
    for asked, engine in (("rome", "ROME"), ("rome-linear", "ROME, linear")):
        assert choose_engine(asked, tmp_path, False) == (engine, "as asked")
    assert choose_engine("built-in", tmp_path, True) == ("built-in", "as asked")
