import random

import numpy as np
import torch

from cmdg_plugin.engine.seeding import seed_epoch


def draws(seed: int, epoch: int) -> tuple[float, float, float]:
    seed_epoch(seed, epoch)
    return random.random(), float(np.random.rand()), float(torch.rand(()))


def test_an_epoch_draws_the_same_whatever_came_before_it() -> None:
    first = draws(3, 5)
    draws(3, 4)
    assert draws(3, 5) == first


def test_epochs_and_seeds_draw_differently() -> None:
    assert len({draws(seed, epoch) for seed in range(3) for epoch in range(3)}) == 9
