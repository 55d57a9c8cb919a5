"""Lets torch read MMEngine's checkpoints without running code from them."""

from typing import Any

import numpy as np
import torch
from mmengine.logging.history_buffer import HistoryBuffer
from numpy._core import multiarray

_STATISTICS = ('min', 'max', 'current', 'mean')


def _history_statistic(owner: Any, name: str) -> Any:
    """Stand in for `getattr` in a checkpoint: gives the statistics of a log history and nothing else."""
    if owner is HistoryBuffer and name in _STATISTICS:
        return getattr(HistoryBuffer, name)
    raise ValueError(f'The checkpoint asks for {owner!r}.{name}, which no training log needs: it is not loaded.')


def trust_checkpoint_classes() -> None:
    """Allow the few harmless classes in MMEngine's checkpoints to be unpickled.

    From torch 2.6 on, checkpoints are read with `weights_only=True`, and a resume of MMEngine 0.10 fails on the classes
    of its log history. They are named here one by one; `getattr`, which the history's statistics are stored by, is
    replaced by a function that knows these statistics alone, so nothing else becomes loadable.
    """
    torch.serialization.add_safe_globals(
        [
            HistoryBuffer,
            (_history_statistic, 'builtins.getattr'),
            np.ndarray,
            np.dtype,
            # Under numpy 1's and numpy 2's name, whichever numpy wrote the file.
            (multiarray._reconstruct, 'numpy.core.multiarray._reconstruct'),
            (multiarray._reconstruct, 'numpy._core.multiarray._reconstruct'),
            (multiarray.scalar, 'numpy.core.multiarray.scalar'),
            (multiarray.scalar, 'numpy._core.multiarray.scalar'),
            *(type(np.dtype(kind)) for kind in (np.float64, np.float32, np.int64, np.int32, np.bool_)),
        ]
    )
