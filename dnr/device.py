"""Where the work runs."""

from typing import Literal

import torch

from dnr.errors import InputError

DeviceName = Literal["auto", "cpu", "cuda"]


def choose_device(name: DeviceName) -> torch.device:
    """What `name` stands for on this machine: "auto" is CUDA where there is one, else the CPU."""
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("this machine has no CUDA device that torch can use; pass --device cpu")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)
