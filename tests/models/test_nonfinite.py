import pytest
import torch

from cmdg_plugin.models.nonfinite import NonFiniteGuard

NAN = {'loss_a': torch.tensor(1.0), 'loss_b': torch.tensor(float('nan'))}


def test_finite_loss_passes_untouched():
    total = torch.tensor(2.0)
    assert NonFiniteGuard().check(total, {'loss_a': total}, 'warmup') is total


def test_raise_names_stage_and_term():
    with pytest.raises(FloatingPointError, match=r"Stage 'warmup': loss_b is not"):
        NonFiniteGuard().check(torch.tensor(float('nan')), NAN, 'warmup')


def test_skip_gives_a_zero_without_gradients_and_counts():
    guard = NonFiniteGuard('skip')
    weight = torch.nn.Parameter(torch.ones(1))
    loss = guard.check((weight * float('nan')).sum(), NAN, 'warmup')
    loss.backward()
    assert loss == 0
    assert weight.grad is None
    assert guard.num_skipped == 1


def test_features_that_are_not_finite_stay_out_of_the_bank_when_skipping():
    assert NonFiniteGuard('skip').lets_pass(torch.ones(2))
    assert not NonFiniteGuard('skip').lets_pass(torch.tensor([1.0, float('inf')]))


def test_unknown_policy_is_named():
    with pytest.raises(ValueError, match="'ignore'"):
        NonFiniteGuard('ignore')
