import importlib
import pickle
from pathlib import Path

import pytest
import torch
from helpers.fresh import call_in_fork
from mmengine.logging.history_buffer import HistoryBuffer

from cmdg_plugin.checkpoints.safe_classes import trust_checkpoint_classes


def test_log_history_survives_a_safe_load(tmp_path: Path) -> None:
    trust_checkpoint_classes()
    history = HistoryBuffer()
    for value in (1.0, 2.0, 6.0):
        history.update(value)
    torch.save({'loss': history}, tmp_path / 'log.pth')
    assert torch.load(tmp_path / 'log.pth', weights_only=True)['loss'].mean(3) == 3.0


def read(path: str) -> None:
    importlib.import_module('cmdg_plugin.registry')  # as every use of the plugin does
    torch.load(path, weights_only=True)


def test_a_fresh_process_reads_it_too(tmp_path: Path) -> None:
    """In a process that has logged nothing yet, MMEngine's own table of statistics is still empty."""
    history = HistoryBuffer()
    history.update(1.0)
    torch.save({'loss': history}, tmp_path / 'log.pth')
    call_in_fork(read, str(tmp_path / 'log.pth'))


class Attack:
    """Asks for `getattr(HistoryBuffer, '__init__')`, a first step towards anything in Python."""

    def __reduce__(self) -> tuple:
        return getattr, (HistoryBuffer, '__init__')


def test_getattr_reaches_nothing_but_statistics(tmp_path: Path) -> None:
    trust_checkpoint_classes()
    torch.save({'x': Attack()}, tmp_path / 'attack.pth')
    with pytest.raises((ValueError, pickle.UnpicklingError)):
        torch.load(tmp_path / 'attack.pth', weights_only=True)
