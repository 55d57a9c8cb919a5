"""Random states that depend on the seed and the epoch alone, so that a resumed run draws what it would have drawn."""

import numpy as np
from mmengine.dist import get_rank
from mmengine.runner import set_random_seed


def seed_epoch(seed: int, epoch: int) -> None:
    """Seed Python, numpy and torch for one epoch on this rank."""
    state = np.random.SeedSequence([seed, epoch, get_rank()]).generate_state(1)[0]
    set_random_seed(int(state))
