import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from cmdg_plugin.datasets import seed_worker
from cmdg_plugin.registry import FUNCTIONS


class Draws(Dataset):
    """What the three generators give in a worker."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Any:
        return random.random(), float(np.random.rand()), float(torch.rand(()))


def epoch(seed: int) -> list[list[float]]:
    torch.manual_seed(seed)
    loader = DataLoader(Draws(), batch_size=None, num_workers=2, worker_init_fn=FUNCTIONS.get('seed_worker'))
    return list(loader)


def test_an_epoch_repeats_and_the_next_differs() -> None:
    first = epoch(1)
    assert epoch(1) == first
    second = epoch(2)
    assert all(a != b for one, two in zip(first, second, strict=True) for a, b in zip(one, two, strict=True))
    # Workers differ from each other, too: sample 0 and 1 come from different ones.
    assert all(a != b for a, b in zip(first[0], first[1], strict=True))


@pytest.fixture
def untouched_generators() -> Iterator[None]:
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    yield
    random.setstate(states[0])
    np.random.set_state(states[1])
    torch.set_rng_state(states[2])


def test_ranks_differ(monkeypatch: pytest.MonkeyPatch, untouched_generators: None) -> None:
    def draw(rank: int) -> Any:
        monkeypatch.setattr('cmdg_plugin.datasets.worker_seeding.get_rank', lambda: rank)
        torch.manual_seed(1)
        seed_worker(0)
        return random.random(), float(np.random.rand()), float(torch.rand(()))

    assert draw(0) == draw(0)
    assert all(a != b for a, b in zip(draw(0), draw(1), strict=True))
