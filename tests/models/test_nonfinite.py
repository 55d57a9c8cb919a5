import pytest
import torch

from cmdg_plugin.models.nonfinite import NonFiniteGuard

NAN = {'loss_a': torch.tensor(1.0), 'loss_b': torch.tensor(float('nan'))}


def test_finite_loss_passes():
    guard = NonFiniteGuard()
    guard.check(torch.tensor(2.0), {'loss_a': torch.tensor(2.0)}, 'warmup')
    assert not guard.batch_is_bad


def test_raise_names_stage_and_term():
    with pytest.raises(FloatingPointError, match=r"Stage 'warmup': loss_b is not"):
        NonFiniteGuard().check(torch.tensor(float('nan')), NAN, 'warmup')


def test_skip_marks_and_counts_and_gives_up_in_the_end():
    guard = NonFiniteGuard('skip')
    for bad in range(1, 51):
        guard.check(torch.tensor(float('nan')), NAN, 'warmup')
        assert guard.batch_is_bad
        assert guard.num_skipped == bad
    with pytest.raises(FloatingPointError, match='So were the 50 batches before'):
        guard.check(torch.tensor(float('nan')), NAN, 'warmup')


def test_a_good_batch_ends_a_row_of_bad_ones():
    guard = NonFiniteGuard('skip')
    for _ in range(3):
        for _ in range(40):
            guard.check(torch.tensor(float('inf')), NAN, 'warmup')
        guard.check(torch.tensor(1.0), {}, 'warmup')
    assert guard.num_skipped == 120


def test_features_that_are_not_finite_stay_out_of_the_bank_when_skipping():
    assert NonFiniteGuard('skip').lets_pass(torch.ones(2))
    assert not NonFiniteGuard('skip').lets_pass(torch.tensor([1.0, float('inf')]))


def test_unknown_policy_is_named():
    with pytest.raises(ValueError, match="'ignore'"):
        NonFiniteGuard('ignore')
