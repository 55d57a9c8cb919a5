"""Seeds of dataloader workers."""

import random

import numpy as np
import torch
from mmengine.dist import get_rank

from cmdg_plugin.registry import FUNCTIONS


@FUNCTIONS.register_module()
def seed_worker(worker_id: int) -> None:
    """Seed Python's and NumPy's generators of a dataloader worker from the one that PyTorch gave it.

    PyTorch draws a new seed from the main process's generator at every epoch, so an epoch whose main process was seeded
    from (seed, epoch) repeats exactly, and two epochs differ. MMEngine's default gives every epoch the same
    augmentations unless workers persist. Ranks draw different augmentations even where their main processes agree.

    Args:
        worker_id: Number of the worker; PyTorch's seed already depends on it.
    """
    words = np.random.SeedSequence((torch.initial_seed(), get_rank())).generate_state(3)
    random.seed(int(words[0]))
    np.random.seed(int(words[1]))  # noqa: NPY002  (the transforms draw from NumPy's global generator)
    torch.manual_seed(int(words[2]))
