import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from cmdg_plugin.models.losses import IdentityMemoryLoss, blend_hardest, identity_memory_loss
from cmdg_plugin.models.training_images import DataSizes


def sizes(identities: int = 4) -> DataSizes:
    return DataSizes(identities, 2, 20, 10, identities, 8, 3)


def unit(rows: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return functional.normalize(torch.randn(rows, 3, dtype=torch.float64, generator=generator), dim=1)


def oracle_loss(features: Tensor, labels: list[int], centroids: Tensor, temperature: float) -> float:
    total = 0.0
    for feature, label in zip(features, labels, strict=True):
        scores = [float(feature @ c / feature.norm() / c.norm()) / temperature for c in centroids]
        total += math.log(sum(math.exp(score) for score in scores)) - scores[label]
    return total / len(labels)


def oracle_update(centroids: Tensor, features: Tensor, labels: list[int], momentum: float) -> Tensor:
    new = centroids.clone()
    for identity in set(labels):
        own = [f / f.norm() for f, label in zip(features, labels, strict=True) if label == identity]
        hardest = min(own, key=lambda f: float(f @ centroids[identity]))
        mixed = momentum * centroids[identity] + (1 - momentum) * hardest
        new[identity] = mixed / mixed.norm()
    return new


LABELS = [2, 0, 2, 2, 0, 3]


def begun(centroids: Tensor) -> IdentityMemoryLoss:
    loss = IdentityMemoryLoss()
    loss.bind_data(sizes())
    loss.double().begin(lambda source: centroids, resumed=False)
    return loss


def test_loss_and_update_match_loops() -> None:
    centroids, features = unit(4), 3 * torch.randn(6, 3, dtype=torch.float64)
    value = identity_memory_loss(features, torch.tensor(LABELS), centroids)
    assert value.item() == pytest.approx(oracle_loss(features, LABELS, centroids, 0.05), rel=1e-12)
    before = centroids.clone()
    new = blend_hardest(centroids, features, torch.tensor(LABELS), momentum=0.2)
    torch.testing.assert_close(new, oracle_update(centroids, features, LABELS, 0.2), rtol=1e-12, atol=1e-15)
    assert torch.equal(new[1], before[1])  # not in the batch
    assert torch.equal(centroids, before)


def test_module_compares_first_then_updates_step_by_step() -> None:
    expected, loss = unit(4), begun(5 * unit(4))
    for _ in range(3):
        features = torch.randn(6, 3, dtype=torch.float64, requires_grad=True)
        value = loss(features, torch.tensor(LABELS))
        assert value.item() == pytest.approx(oracle_loss(features.detach(), LABELS, expected, 0.05), rel=1e-10)
        value.backward()  # would fail if the update had changed what the backward pass reads
        assert features.grad.abs().sum() > 0
        expected = oracle_update(expected, features.detach(), LABELS, 0.2)
        torch.testing.assert_close(loss.centroids, expected, rtol=1e-10, atol=1e-14)
    assert not loss.centroids.requires_grad
    with torch.no_grad():
        loss(torch.randn(6, 3, dtype=torch.float64), torch.tensor(LABELS))
    torch.testing.assert_close(loss.centroids, expected, rtol=1e-10, atol=1e-14)


def test_checkpoint_goes_on_exactly() -> None:
    first, labels = begun(unit(4)), torch.tensor(LABELS)
    first(unit(6, 1), labels)
    second = begun(unit(4, 9))
    second.load_state_dict(first.state_dict())
    second.begin(lambda source: pytest.fail('a resumed memory starts anew'), resumed=True)
    assert torch.equal(first(unit(6, 2), labels), second(unit(6, 2), labels))
    assert torch.equal(first.centroids, second.centroids)


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match='start must be one of images, captions, prompts'):
        IdentityMemoryLoss(start='names')
    with pytest.raises(ValueError, match='momentum must'):
        IdentityMemoryLoss(momentum=1.5)
    with pytest.raises(ValueError, match='temperature must'):
        IdentityMemoryLoss(temperature=0)
    loss = IdentityMemoryLoss()
    loss.bind_data(sizes())
    with pytest.raises(RuntimeError, match='StagePreparationHook'):
        loss(torch.zeros(1, 3), torch.tensor([0]))
    with pytest.raises(ValueError, match='without the memory'):
        loss.begin(lambda source: unit(4), resumed=True)
    with pytest.raises(ValueError, match=r'labels must lie in 0\.\.3'):
        begun(unit(4))(unit(1), torch.tensor([4]))
    other = IdentityMemoryLoss()
    other.bind_data(sizes(3))
    with pytest.raises(ValueError, match=r'trained on 4 identities .*this data has 3'):
        other.load_state_dict(loss.state_dict())
