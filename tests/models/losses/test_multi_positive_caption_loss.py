import math

import pytest
import torch
from torch import Tensor

from cmdg_plugin.models.losses import MultiPositiveCaptionLoss, caption_contrastive_loss, multi_positive_caption_loss


def oracle(image: Tensor, text: Tensor, labels: list[int], temperature: float) -> float:
    def nce(queries: Tensor, keys: Tensor) -> float:
        total = 0.0
        for query, label in zip(queries, labels, strict=True):
            scores = [float(query @ key / query.norm() / key.norm()) / temperature for key in keys]
            own = [score for score, other in zip(scores, labels, strict=True) if other == label]
            total += math.log(sum(math.exp(score) for score in scores)) - sum(own) / len(own)
        return total / len(queries)

    return sum((nce(a, b) + nce(b, a)) / 2 for a, b in zip(image, text, strict=True)) / len(image)


def test_matches_loops() -> None:
    image, text = torch.randn(3, 6, 4, dtype=torch.float64), torch.randn(3, 6, 4, dtype=torch.float64)
    labels = [7, 2, 7, 5, 7, 2]
    loss = MultiPositiveCaptionLoss(temperature=0.5)(image, text, torch.tensor(labels))
    assert loss.dtype == torch.float64
    assert loss.item() == pytest.approx(oracle(image, text, labels, 0.5), rel=1e-12)


def test_distinct_identities_make_it_the_plain_contrast() -> None:
    image = torch.randn(4, 5, 8, dtype=torch.float64, requires_grad=True)
    text = torch.randn(4, 5, 8, dtype=torch.float64, requires_grad=True)
    ours = multi_positive_caption_loss(image, text, torch.tensor([4, 0, 3, 1, 9]))
    plain = caption_contrastive_loss(image, text)
    torch.testing.assert_close(ours, plain, rtol=1e-12, atol=0)
    for one, other in zip(
        torch.autograd.grad(ours, (image, text)), torch.autograd.grad(plain, (image, text)), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-14)


def test_captions_of_one_identity_do_not_repel_each_other() -> None:
    """Two images of one person under the same words: nothing is left to learn, which the plain contrast punishes."""
    image = torch.eye(2, dtype=torch.float64)[[0, 0, 1, 1]][None]
    ours = multi_positive_caption_loss(image, image, torch.tensor([0, 0, 1, 1]), temperature=0.01)
    assert ours.item() == pytest.approx(math.log(2), rel=1e-12)
    apart = image.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(
        multi_positive_caption_loss(apart, image, torch.tensor([0, 0, 1, 1]), temperature=0.01), apart
    )
    assert gradient.abs().max() < 1e-12


def test_half_precision_under_autocast_is_computed_in_float32() -> None:
    image, text, labels = torch.randn(4, 6, 16).bfloat16(), torch.randn(4, 6, 16), torch.tensor([0, 0, 1, 1, 2, 2])
    with torch.autocast('cpu', dtype=torch.bfloat16):
        loss = multi_positive_caption_loss(image, text, labels)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, multi_positive_caption_loss(image.float(), text, labels), rtol=0, atol=0)


@pytest.mark.parametrize(
    ('labels', 'temperature', 'error', 'message'),
    [
        (torch.zeros(3, dtype=torch.long), 0.1, ValueError, 'labels must have shape'),
        (torch.zeros(2), 0.1, TypeError, 'labels'),
        (torch.zeros(2, dtype=torch.long), 0.0, ValueError, 'temperature must be'),
    ],
)
def test_bad_input_is_named(labels: Tensor, temperature: float, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        multi_positive_caption_loss(torch.ones(4, 2, 3), torch.ones(4, 2, 3), labels, temperature=temperature)
