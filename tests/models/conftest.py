from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor


@pytest.fixture(scope='session')
def golden() -> dict[str, Tensor]:
    """Inputs, values and gradients of the released losses, float64."""
    with np.load(Path(__file__).parents[1] / 'data' / 'golden_losses.npz') as file:
        return {name: torch.from_numpy(file[name]) for name in file.files}


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)
