import math

import pytest
import torch

from cmdg_plugin.models.losses import measure_terms


def test_norms_and_cosines_by_hand() -> None:
    a, b = torch.nn.Parameter(torch.tensor([3.0, 4.0])), torch.nn.Parameter(torch.tensor(2.0))
    losses = {
        'loss_length': a.square().sum() / 2,  # its gradient is (3, 4, 0)
        'loss_other': -5 * b,  # (0, 0, -5)
        'loss_none': torch.tensor(7.0),
        'neighbors/share': torch.tensor(0.5),
    }
    found = measure_terms(losses, [a, b])
    assert list(found) == ['length', 'other', 'none']
    assert found['length'] == pytest.approx((12.5, 5, 1 / math.sqrt(2)))
    assert found['other'] == pytest.approx((-10, 5, 1 / math.sqrt(2)))
    assert found['none'] == (7, 0, 0)
    assert a.grad is None


def test_nothing_to_measure_is_refused() -> None:
    frozen = torch.nn.Parameter(torch.ones(2), requires_grad=False)
    with pytest.raises(ValueError, match='got 1 and 0 of them'):
        measure_terms({'loss_a': torch.tensor(1.0)}, [frozen])
