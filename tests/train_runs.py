"""Running train.py in tests, and looking at what it has left."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch

from dnr.tensor_files import load_tensors
from dnr.textures.pyramid import TextureConfig
from dnr.training.presets import PresetName, Recipe, recipe

ROOT = Path(__file__).resolve().parent.parent
STEPS = 300


class Answer(NamedTuple):
    status: int
    out: str
    err: str


def small(preset: PresetName) -> Recipe:
    """A preset with little of everything."""
    chosen = recipe(preset)
    texture = TextureConfig(size=64, levels=3, colour_size=64)
    return replace(chosen, asset=replace(chosen.asset, texture=texture), batch=512, crop=32)


Train = Callable[..., Answer]


def hidden_files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.name.startswith(".") or ".part" in path.name]


def same_weights(first: Path, second: Path) -> bool:
    ours, theirs = (load_tensors(run / "weights.safetensors") for run in (first, second))
    return ours.keys() == theirs.keys() and all(torch.equal(ours[n], theirs[n]) for n in ours)


def assert_refused(answer: Answer, words: str) -> None:
    assert answer.status == 2, answer
    assert "Traceback" not in answer.err
    sentence = answer.err.strip().splitlines()[-1]
    assert re.search(words, sentence), sentence
    assert len(re.findall(r"[.;] ", sentence)) <= 3 and len(sentence) < 500
