"""The part loss where its gradient is worked out by hand, in pieces."""

import pytest
import torch
from helpers.banks import problem

from cmdg_plugin.models.losses import neighbor_pull, part_neighbor_loss


def test_gradient_agrees_with_finite_differences() -> None:
    parts, bank, positions = problem(entries=12, batch=3, dim=4)
    assert torch.autograd.gradcheck(lambda x: 2 * part_neighbor_loss(x, bank, positions, num_neighbors=3)[0], parts)


def test_chunks_give_what_one_pass_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    parts, bank, positions = problem(entries=403, batch=4)
    with torch.no_grad():
        bank *= torch.linspace(5, 0.1, 403)[:, None, None]  # nearer and nearer: the running maximum keeps moving
    whole = part_neighbor_loss(parts, bank, positions, scale=1.0)
    whole_grad = torch.autograd.grad(whole[0], parts)[0]
    monkeypatch.setattr(neighbor_pull, '_SCORES_HELD_CPU', 4 * 50)
    pieces = part_neighbor_loss(parts, bank, positions, scale=1.0)
    torch.testing.assert_close(pieces[0], whole[0], rtol=1e-12, atol=0)
    assert torch.equal(pieces[1], whole[1])
    torch.testing.assert_close(torch.autograd.grad(pieces[0], parts)[0], whole_grad, rtol=1e-9, atol=1e-14)


def test_distances_beyond_the_range_of_exp_stay_finite() -> None:
    parts, bank, positions = problem(dim=64, dtype=torch.float32)
    loss, _ = part_neighbor_loss(parts * 100, bank * 100, positions, num_neighbors=5)
    (gradient,) = torch.autograd.grad(loss, parts)
    assert loss.isfinite()
    assert gradient.isfinite().all()


def test_the_bank_gets_no_gradient_and_no_graph_is_kept_without_grad() -> None:
    parts, bank, positions = problem()
    loss, neighbors = part_neighbor_loss(parts, bank.requires_grad_(), positions)
    loss.backward()
    assert bank.grad is None
    assert not neighbors.requires_grad
    with torch.no_grad():
        again, _ = part_neighbor_loss(parts, bank, positions)
    assert not again.requires_grad
    torch.testing.assert_close(again, loss.detach())
