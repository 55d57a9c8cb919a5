from typing import Any

import pytest
import torch
from helpers.banks import make_bank
from torch import Tensor

from cmdg_plugin.models.losses import SoftIdentityLoss, batch_hard_triplet_loss, soft_identity_loss


def oracle(
    logits: torch.Tensor,
    targets: torch.Tensor,
    neighbor_labels: torch.Tensor,
    smoothing: float,
    soft_weight: float,
    soft_ratio: float,
) -> float:
    total = 0.0
    for row, target, labels in zip(logits, targets.tolist(), neighbor_labels.tolist(), strict=True):
        log_p = (row - row.max()) - torch.log(torch.exp(row - row.max()).sum())
        hard = [smoothing / len(row) + (1 - smoothing) * (c == target) for c in range(len(row))]
        soft = [(1 - soft_ratio) * (c == target) + soft_ratio * labels.count(c) / len(labels) for c in range(len(row))]
        blend = [(1 - soft_weight) * h + soft_weight * s for h, s in zip(hard, soft, strict=True)]
        total -= sum(float(p) * w for p, w in zip(log_p, blend, strict=True))
    return total / len(logits)


def test_value_and_gradient_are_the_released_ones(golden: dict[str, Tensor]) -> None:
    logits = golden['softid_logits'].clone().requires_grad_()
    neighbors = golden['softid_neighbours'].transpose(0, 1).flatten(1)
    loss = soft_identity_loss(
        logits,
        golden['softid_target'],
        neighbors,
        smoothing=float(golden['softid_epsilon']),
        soft_weight=float(golden['softid_weight']),
        soft_ratio=float(golden['softid_lambda']),
    )
    loss.backward()
    torch.testing.assert_close(loss, golden['softid_loss_expected'], rtol=1e-6, atol=0)
    torch.testing.assert_close(logits.grad, golden['softid_grad_expected'], rtol=1e-6, atol=1e-12)


def test_warmup_stage_is_the_released_one(golden: dict[str, Tensor]) -> None:
    logits = golden['warmup_logits'].clone().requires_grad_()
    labels = golden['warmup_labels']
    loss: Any = sum(soft_identity_loss(x, labels) for x in logits)
    loss = loss + sum(batch_hard_triplet_loss(x, labels) for x in golden['warmup_feats'])
    loss.backward()
    torch.testing.assert_close(loss, golden['warmup_loss_expected'], rtol=1e-6, atol=0)
    torch.testing.assert_close(logits.grad, golden['warmup_grad_expected'], rtol=1e-6, atol=1e-12)


def test_bridging_identity_losses_are_the_released_ones(golden: dict[str, Tensor]) -> None:
    labels, neighbors = golden['reid_labels'], golden['reid_neighbours']
    loss = 1.5 * soft_identity_loss(golden['reid_logits'], labels, neighbors.transpose(0, 1).flatten(1))
    loss = loss + batch_hard_triplet_loss(golden['reid_feats'], labels)
    torch.testing.assert_close(loss, golden['reid_loss_expected'], rtol=1e-6, atol=0)


def test_matches_loops() -> None:
    logits, targets = torch.randn(4, 6, dtype=torch.float64), torch.tensor([0, 5, 2, 2])
    neighbors = torch.randint(6, (4, 9))
    options = dict(smoothing=0.2, soft_weight=0.3, soft_ratio=0.7)
    expected = oracle(logits, targets, neighbors, *options.values())
    assert soft_identity_loss(logits, targets, neighbors, **options).item() == pytest.approx(expected)


def test_module_looks_labels_up_in_every_part() -> None:
    logits, targets = torch.randn(2, 5), torch.tensor([0, 1])
    bank = make_bank(labels=torch.tensor([4, 3, 2, 1, 0]))
    neighbors = torch.tensor([[[0, 1], [2, 3]], [[4, 4], [0, 0]], [[1, 2], [3, 4]]])
    labels = torch.tensor([[4, 3, 0, 0, 3, 2], [2, 1, 4, 4, 1, 0]])
    module = SoftIdentityLoss(soft_ratio=0.9)
    expected = soft_identity_loss(logits, targets, labels, soft_ratio=0.9)
    torch.testing.assert_close(module(logits, targets, neighbors, bank), expected)
    torch.testing.assert_close(module(logits, targets), soft_identity_loss(logits, targets))


def test_half_precision_under_autocast_is_computed_in_float32() -> None:
    logits = torch.randn(4, 7).bfloat16().requires_grad_()
    targets, neighbors = torch.tensor([0, 1, 2, 6]), torch.randint(7, (4, 3))
    with torch.autocast('cpu', dtype=torch.bfloat16):
        loss = soft_identity_loss(logits, targets, neighbors)
    loss.backward()
    assert loss.dtype == torch.float32
    assert logits.grad.dtype == torch.bfloat16
    torch.testing.assert_close(loss, soft_identity_loss(logits.float(), targets, neighbors), rtol=0, atol=0)


@pytest.mark.parametrize(
    ('targets', 'neighbors', 'options', 'message'),
    [
        ([0, 5], [[0], [1]], {}, r'targets must lie in 0..4 .*got 0..5'),
        ([0, -1], [[0], [1]], {}, 'targets must lie in 0..4'),
        ([0, 1], [[0], [7]], {}, 'neighbor_labels must lie in 0..4'),
        ([0, 1, 2], [[0], [1]], {}, 'targets must have shape'),
        ([0, 1], [[0], [1], [2]], {}, 'neighbor_labels must have shape'),
        ([0, 1], [[0], [1]], dict(smoothing=1.5), 'smoothing must lie between 0 and 1'),
    ],
)
def test_bad_input_is_named(targets: list[int], neighbors: list[list[int]], options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        soft_identity_loss(torch.zeros(2, 5), torch.tensor(targets), torch.tensor(neighbors), **options)


def test_module_refuses_neighbors_without_labels() -> None:
    with pytest.raises(ValueError, match='bank is missing'):
        SoftIdentityLoss()(torch.zeros(2, 5), torch.tensor([0, 1]), torch.zeros(3, 2, 4, dtype=torch.long))


def test_labels_that_are_no_integers_are_refused() -> None:
    with pytest.raises(TypeError, match='targets must hold integers'):
        soft_identity_loss(torch.zeros(2, 5), torch.tensor([0.0, 1.0]))


def test_text_neighbors_take_their_mass_from_the_own_identity() -> None:
    logits, targets = torch.randn(3, 6, dtype=torch.float64), torch.tensor([0, 3, 5])
    visual, text = torch.randint(6, (3, 9)), torch.randint(6, (3, 4))
    expected = 0.0
    for b in range(3):
        log_p = torch.log_softmax(logits[b], dim=0)
        for c in range(6):
            own = float(c == targets[b])
            soft = 0.25 * own + 0.5 * visual[b].tolist().count(c) / 9 + 0.25 * text[b].tolist().count(c) / 4
            expected -= float(log_p[c]) * (0.5 * (0.1 / 6 + 0.9 * own) + 0.5 * soft) / 3
    options = dict(text_labels=text, text_ratio=0.25)
    assert float(soft_identity_loss(logits, targets, visual, **options)) == pytest.approx(expected, rel=1e-9)
    without = soft_identity_loss(logits, targets, visual)
    assert float(soft_identity_loss(logits, targets, visual, text_labels=text)) == pytest.approx(float(without))


def test_module_looks_text_neighbors_up_and_gives_a_missing_ones_mass_back() -> None:
    logits, targets, bank_labels = torch.randn(2, 4), torch.tensor([0, 1]), torch.tensor([0, 1, 2, 3, 3])
    bank = make_bank(labels=bank_labels)
    neighbors, text = torch.randint(5, (3, 2, 2)), torch.tensor([[4, 2], [-1, 0]])
    module = SoftIdentityLoss(text_ratio=0.5)
    visual = bank_labels[neighbors].transpose(0, 1).flatten(1)
    expected = soft_identity_loss(logits, targets, visual, text_labels=torch.tensor([[3, 2], [1, 0]]), text_ratio=0.5)
    torch.testing.assert_close(module(logits, targets, neighbors, bank, text), expected)
    torch.testing.assert_close(
        module(logits, targets, neighbors, bank), SoftIdentityLoss()(logits, targets, neighbors, bank)
    )


def test_masses_share_one_unit() -> None:
    with pytest.raises(ValueError, match=r'share one unit of mass, got 0\.5 \+ 0\.6'):
        SoftIdentityLoss(soft_ratio=0.5, text_ratio=0.6)
    with pytest.raises(ValueError, match='text_labels join neighbor_labels'):
        soft_identity_loss(torch.randn(2, 3), torch.zeros(2, dtype=int), text_labels=torch.zeros(2, 1, dtype=int))


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        (torch.tensor([[4, 2]]), r'text_neighbors must have shape \(B, K\) with B=2'),
        (torch.tensor([[4, 2], [5, 0]]), r'text_neighbors must lie in 0\.\.4'),
        (torch.tensor([[4, 2], [-2, 0]]), r'text_neighbors must lie in 0\.\.4'),
    ],
)
def test_module_refuses_text_neighbors_that_are_no_rows(text: torch.Tensor, message: str) -> None:
    logits, targets, bank_labels = torch.randn(2, 4), torch.tensor([0, 1]), torch.tensor([0, 1, 2, 3, 3])
    bank = make_bank(labels=bank_labels)
    neighbors, module = torch.randint(5, (3, 2, 2)), SoftIdentityLoss(text_ratio=0.5)
    with pytest.raises(ValueError, match=message):
        module(logits, targets, neighbors, bank, text)
    with pytest.raises(ValueError, match='text_neighbors come with neighbors and bank'):
        module(logits, targets, text_neighbors=text)
