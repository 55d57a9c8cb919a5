import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from cmdg_plugin.models.losses import BatchHardTripletLoss, batch_hard_triplet_loss
from cmdg_plugin.models.training_images import DataSizes


def oracle(features: torch.Tensor, labels: list[int], margin: None) -> float:
    total = 0.0
    for i in range(len(features)):
        distances = [float((features[i] - other).norm()) for other in features]
        positive = max(d for d, label in zip(distances, labels, strict=True) if label == labels[i])
        negative = min(d for d, label in zip(distances, labels, strict=True) if label != labels[i])
        gap = positive - negative
        total += math.log1p(math.exp(gap)) if margin is None else max(0.0, gap + margin)
    return total / len(features)


def test_value_and_gradient_are_the_released_ones(golden: dict[str, Tensor]) -> None:
    features = golden['triplet_feats'].clone().requires_grad_()
    loss = batch_hard_triplet_loss(features, golden['triplet_labels'])
    loss.backward()
    torch.testing.assert_close(loss, golden['triplet_loss_expected'], rtol=1e-6, atol=0)
    torch.testing.assert_close(features.grad, golden['triplet_grad_expected'], rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize('margin', [None, 0.0, 0.3])
def test_matches_loops_on_uneven_identities(margin: float | None) -> None:
    features, labels = torch.randn(7, 3, dtype=torch.float64), [3, 3, 3, 9, 9, 1, 3]
    loss = BatchHardTripletLoss(margin)(features, torch.tensor(labels))
    assert loss.item() == pytest.approx(oracle(features, labels, margin))


@pytest.mark.parametrize('margin', [None, 0.3])
def test_coinciding_features_have_finite_gradients(margin: float | None) -> None:
    features = torch.ones(6, 4, requires_grad=True)
    loss = batch_hard_triplet_loss(features, torch.tensor([0, 0, 1, 1, 2, 2]), margin=margin)
    loss.backward()
    assert loss.item() == pytest.approx(math.log(2) if margin is None else margin)
    assert features.grad.isfinite().all()


def test_half_precision_under_autocast_is_computed_in_float32() -> None:
    features, labels = torch.randn(6, 32).bfloat16().requires_grad_(), torch.tensor([0, 0, 1, 1, 2, 2])
    with torch.autocast('cpu', dtype=torch.bfloat16):
        loss = batch_hard_triplet_loss(features, labels)
    loss.backward()
    assert (loss.dtype, features.grad.dtype) == (torch.float32, torch.bfloat16)
    torch.testing.assert_close(loss, batch_hard_triplet_loss(features.float(), labels), rtol=0, atol=0)


@pytest.mark.parametrize(
    ('shape', 'labels', 'margin', 'message'),
    [
        ((4, 3), [0, 0, 1], None, 'labels must have shape'),
        ((0, 3), [], None, 'features is empty'),
        ((4, 3), [7, 7, 7, 7], None, 'at least two identities, got only identity 7'),
        ((4, 3), [0, 0, 1, 1], -0.1, 'margin must be None'),
        ((4, 3), [0, 0, 1, 1], math.nan, 'margin must be None'),
    ],
)
def test_bad_input_is_named(shape: tuple[int, int], labels: list, margin: float | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        batch_hard_triplet_loss(torch.zeros(shape), torch.tensor(labels, dtype=torch.long), margin=margin)


def test_data_without_positive_pairs_are_refused_before_training() -> None:
    loss = BatchHardTripletLoss()
    sizes = DataSizes(8, 1, 9, 0, 1, 16, 8)
    loss.check_data(sizes)
    with pytest.raises(ValueError, match='every identity has one image only'):
        loss.check_data(replace(sizes, num_paired=0))
