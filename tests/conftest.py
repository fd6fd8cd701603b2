"""What all tests share: one thread on purpose, and random numbers that repeat."""

import numpy as np
import pytest
import torch

# On a busy machine two threads that wait for each other are several times slower than one.
torch.set_num_threads(1)


@pytest.fixture
def generator() -> torch.Generator:
    """Seeded, on the CPU."""
    return torch.Generator().manual_seed(0)


@pytest.fixture
def rng() -> np.random.Generator:
    """Seeded."""
    return np.random.default_rng(0)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a GPU where there is none, also when `-m gpu` asks for it."""
    if not torch.cuda.is_available():
        for item in items:
            if "gpu" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="needs CUDA"))
