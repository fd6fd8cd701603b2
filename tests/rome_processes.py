"""Run by torchrun in a test: every process trains for one step and says how it ended."""

import sys
from dataclasses import replace
from pathlib import Path

import torch
from small_rome import small_model

from avatars.rome import training
from avatars.rome.avatar import RomeModel
from avatars.rome.clips import load_clips
from avatars.rome.networks import Rome
from avatars.rome.training import RomeOptions, train_rome

OPTIONS = RomeOptions(steps=1, batch=1, rate=1e-3, discriminator_width=4, save_every=1)


def narrow_model(seed: int, width: int = 4) -> RomeModel:
    """Narrow networks; the rest is always the same."""
    model = small_model(torch.Generator().manual_seed(0))
    torch.manual_seed(seed)
    return replace(model, rome=Rome(width))


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    rank, count = training._processes()
    model = narrow_model(rank)  # different on purpose: the first one's must win
    train_rome(model, load_clips(folder / "clips"), folder / "run", OPTIONS)
    end = {name: value.clone() for name, value in model.rome.state_dict().items()}
    torch.save(end, folder / f"process-{rank}-of-{count}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
