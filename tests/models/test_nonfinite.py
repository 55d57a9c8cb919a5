import copy
import math

import pytest
import torch
from torch import nn

from cmdg_plugin.models.nonfinite import NonFiniteGuard

NAN = {'loss_a': torch.tensor(1.0), 'loss_b': torch.tensor(float('nan'))}


def test_finite_loss_passes() -> None:
    guard = NonFiniteGuard()
    guard.check(torch.tensor(2.0), {'loss_a': torch.tensor(2.0)}, 'warmup')
    assert not guard.batch_is_bad


def test_raise_names_stage_and_term() -> None:
    with pytest.raises(FloatingPointError, match=r"Stage 'warmup': loss_b is not"):
        NonFiniteGuard().check(torch.tensor(float('nan')), NAN, 'warmup')


def test_skip_marks_and_counts_and_gives_up_in_the_end() -> None:
    guard = NonFiniteGuard('skip')
    for bad in range(1, 51):
        guard.check(torch.tensor(float('nan')), NAN, 'warmup')
        assert guard.batch_is_bad
        assert guard.num_skipped == bad
    with pytest.raises(FloatingPointError, match='So were the 50 batches before'):
        guard.check(torch.tensor(float('nan')), NAN, 'warmup')


def model_and_optimizer() -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    return model, torch.optim.Adam(model.parameters(), lr=0.1)


def train(guard: NonFiniteGuard, model: nn.Module, optimizer: torch.optim.Optimizer, gradient: float = 1.0) -> None:
    with guard.step(model, optimizer, 'warmup'):
        loss = model(torch.randn(4, 2)).sum() ** 2
        guard.check(loss, {'loss': loss}, 'warmup')
        optimizer.zero_grad()
        loss.backward()
        model[0].weight.grad.mul_(gradient)
        optimizer.step()


def test_a_good_batch_ends_a_row_of_bad_ones() -> None:
    guard, (model, optimizer) = NonFiniteGuard('skip'), model_and_optimizer()
    for _ in range(3):
        for _ in range(40):
            train(guard, model, optimizer, math.nan)
        train(guard, model, optimizer)
    assert guard.num_skipped == 120


@pytest.mark.parametrize('gradient', [math.nan, math.inf])
def test_a_gradient_that_is_not_finite_stops_before_the_step(gradient: float) -> None:
    """A finite loss may have one, and its step would poison all weights: the next loss tells too late."""
    model, optimizer = model_and_optimizer()
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(
        FloatingPointError, match=r"Stage 'warmup': the losses are finite, but the gradient of 0\.weight"
    ):
        train(NonFiniteGuard(), model, optimizer, gradient)
    assert all(torch.equal(value, before[name]) for name, value in model.named_parameters())
    assert not optimizer.state


def test_a_gradient_whose_square_is_too_large_is_finite_all_the_same() -> None:
    guard, (model, optimizer) = NonFiniteGuard(), model_and_optimizer()
    train(guard, model, optimizer, 1e30)
    assert not guard.batch_is_bad
    assert torch.isfinite(optimizer.state[model[0].weight]['exp_avg']).all()


def test_a_bad_gradient_is_left_out_with_all_its_traces() -> None:
    guard, (model, optimizer) = NonFiniteGuard('skip'), model_and_optimizer()
    train(guard, model, optimizer)
    before = copy.deepcopy([model.state_dict(), optimizer.state_dict()])
    undone: list[int] = []
    with guard.step(model, optimizer, None):
        guard.undo_with(lambda: undone.append(1))
        guard.undo_with(lambda: undone.append(2))
        model(torch.randn(4, 2)).sum().backward()
        model[0].bias.grad[0] = math.nan
        optimizer.step()
    assert undone == [2, 1]
    after = [model.state_dict(), optimizer.state_dict()]
    torch.testing.assert_close(after, before, rtol=0, atol=0)
    train(guard, model, optimizer)
    assert not torch.equal(model[0].weight, before[0]['0.weight'])


@pytest.mark.parametrize('fused', [False, True])
def test_gradients_of_a_loss_scaler_are_its_own_business(fused: bool) -> None:
    """They are too large at first by design: the scaler leaves the step out and scales by less."""
    model, _ = model_and_optimizer()
    optimizer = torch.optim.Adam(model.parameters(), fused=fused)
    before = model[0].weight.detach().clone()
    scaler = torch.amp.GradScaler('cpu', init_scale=2.0**127)
    with NonFiniteGuard().step(model, optimizer, 'warmup'):
        scaler.scale(100 * model(torch.randn(4, 2)).square().sum()).backward()
        scaler.step(optimizer)
        scaler.update()
    assert scaler.get_scale() == 2.0**126
    assert torch.equal(model[0].weight, before)


def test_unknown_policy_is_named() -> None:
    with pytest.raises(ValueError, match="'ignore'"):
        NonFiniteGuard('ignore')
