import math

import pytest
import torch
from torch import nn

from cmdg_plugin.models.losses import DomainAdversarialLoss, domain_adversarial_loss, reverse_gradient
from cmdg_plugin.models.training_images import DataSizes


def sizes(num_domains: int) -> DataSizes:
    return DataSizes(8, num_domains, 20, 3, 8, 16, 4)


def test_reversal_changes_the_gradient_and_nothing_else() -> None:
    features = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    reversed_features = reverse_gradient(features, 0.25)
    assert torch.equal(reversed_features, features)
    weights = torch.randn(2, 3, dtype=torch.float64)
    (reversed_features * weights).sum().backward()
    torch.testing.assert_close(features.grad, -0.25 * weights)


def test_value_and_gradients_by_hand() -> None:
    """Two samples, two domains, scores x @ w: d loss / d scores is (softmax - onehot) / B."""
    features = torch.tensor([[1.0, 2.0], [-1.0, 0.5]], dtype=torch.float64, requires_grad=True)
    linear = nn.Linear(2, 2, bias=False).double()
    with torch.no_grad():
        linear.weight.copy_(torch.tensor([[0.5, -1.0], [1.0, 0.25]]))
    loss = domain_adversarial_loss(features, torch.tensor([1, 0]), linear, strength=0.1)
    loss.backward()
    scores = [[0.5 - 2.0, 1.0 + 0.5], [-0.5 - 0.5, -1.0 + 0.125]]
    chances = [[math.exp(s) / sum(map(math.exp, row)) for s in row] for row in scores]
    assert loss.item() == pytest.approx(-(math.log(chances[0][1]) + math.log(chances[1][0])) / 2)
    errors = [[chances[0][0] / 2, (chances[0][1] - 1) / 2], [(chances[1][0] - 1) / 2, chances[1][1] / 2]]
    plain = torch.tensor(errors, dtype=torch.float64) @ linear.weight.detach()
    # The features climb, a tenth as steeply; the classifier descends.
    torch.testing.assert_close(features.grad, -0.1 * plain)
    torch.testing.assert_close(linear.weight.grad, torch.tensor(errors, dtype=torch.float64).T @ features.detach())


def test_features_lose_what_a_trained_classifier_sees() -> None:
    """Along axis 0 stands the domain; descent of both sides moves the two domains together."""
    torch.manual_seed(0)
    domains = torch.arange(2).repeat_interleave(8)
    features = nn.Parameter(torch.randn(16, 4) * 0.1 + torch.eye(4)[0] * (2 * domains[:, None] - 1))
    loss = DomainAdversarialLoss(strength=1.0, hidden=8)
    loss.bind_data(sizes(2))

    def gap() -> float:
        means = [features.detach()[domains == domain].mean(dim=0) for domain in (0, 1)]
        return float((means[0] - means[1]).norm())

    before = gap()
    optimizer = torch.optim.Adam([features, *loss.parameters()], lr=0.01)
    for _ in range(60):
        optimizer.zero_grad()
        loss(features, domains).backward()
        optimizer.step()
    assert gap() < 0.7 * before


def test_one_sample_and_half_precision_are_no_problem() -> None:
    loss = DomainAdversarialLoss()
    loss.bind_data(sizes(3))
    with torch.autocast('cpu', dtype=torch.bfloat16):
        value = loss(torch.randn(1, 4).bfloat16(), torch.tensor([2]))
    assert value.dtype == torch.float32
    assert value.isfinite()
    for dtype in (torch.float64, torch.bfloat16):
        assert loss.to(dtype)(torch.randn(2, 4, dtype=dtype), torch.tensor([2, 0])).isfinite()


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match='strength must be a finite number above 0'):
        DomainAdversarialLoss(strength=0)
    with pytest.raises(ValueError, match=r'hidden must be a whole number of at least 1, got 2\.5'):
        DomainAdversarialLoss(hidden=2.5)
    loss = DomainAdversarialLoss()
    with pytest.raises(RuntimeError, match='bind_data'):
        loss(torch.zeros(2, 4), torch.tensor([0, 1]))
    loss.check_data(sizes(2))
    with pytest.raises(ValueError, match='one domain, so there is nothing to hide'):
        loss.check_data(sizes(1))
    loss.bind_data(sizes(2))
    with pytest.raises(ValueError, match=r'domains must lie in 0..1 \(there are 2 domains in the classifier\)'):
        loss(torch.zeros(2, 4), torch.tensor([0, 2]))
    with pytest.raises(ValueError, match='domains must have shape'):
        loss(torch.zeros(2, 4), torch.tensor([0, 1, 1]))


def test_checkpoint_of_other_domains_names_both_counts() -> None:
    losses = [DomainAdversarialLoss(), DomainAdversarialLoss()]
    for loss, domains in zip(losses, (4, 3), strict=True):
        loss.bind_data(sizes(domains))
    with pytest.raises(ValueError, match=r'trained on 4 domains .*this data has 3'):
        losses[1].load_state_dict(losses[0].state_dict())
