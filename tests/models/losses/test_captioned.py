"""Images without captions are left out of the caption losses, as if they were not in the batch."""

from collections.abc import Callable

import pytest
import torch
from helpers.banks import make_bank
from torch import Tensor

from cmdg_plugin.models.losses import (
    MultiPositiveCaptionLoss,
    caption_contrastive_loss,
    distribution_alignment_loss,
    multi_positive_caption_loss,
)

BARE = [1, 4, 5]
SPOKEN = [0, 2, 3, 6]
LABELS = torch.tensor([0, 0, 0, 1, 1, 2, 3])
Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
LOSSES: list[Loss] = [
    lambda image, text, labels: caption_contrastive_loss(image, text, temperature=0.01),
    lambda image, text, labels: multi_positive_caption_loss(image, text, labels),
    lambda image, text, labels: distribution_alignment_loss(image[0], text[0]),
]


def batch(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    image, text = torch.randn(2, 4, 7, 8, dtype=dtype)
    text[:, BARE] = 0
    return image.requires_grad_(), text


@pytest.mark.parametrize('loss', LOSSES)
def test_the_loss_is_that_of_the_others(loss: Loss) -> None:
    image, text = batch()
    value = loss(image, text, LABELS)
    (gradient,) = torch.autograd.grad(value, image)
    expected = loss(image[:, SPOKEN], text[:, SPOKEN], LABELS[SPOKEN])
    (wanted,) = torch.autograd.grad(expected, image)
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(gradient, wanted)
    assert not gradient[:, BARE].any()


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
@pytest.mark.parametrize('loss', LOSSES)
def test_with_one_caption_or_none_there_is_nothing_to_learn(loss: Loss, dtype: torch.dtype) -> None:
    image, text = batch(dtype)
    for count in (1, 0):
        text[:, count:] = 0
        moving = text.clone().requires_grad_()
        value = loss(image, moving, LABELS)
        value.backward()
        assert value == 0
        assert not image.grad.any()
        assert moving.grad is None or not moving.grad.any()


def test_look_alikes_without_captions_are_none() -> None:
    image, text = batch()
    image, text, rows = image.detach()[:3], text[:3], torch.arange(7)
    bank_text = torch.randn(12, 3, 8, dtype=torch.float64)
    neighbors = torch.tensor([[8, 9], [9, 10], [10, 11], [8, 11], [9, 11], [10, 8], [11, 9]])
    owners = torch.tensor([*LABELS, *range(10, 15)])
    loss = MultiPositiveCaptionLoss(look_alike_ratio=0.3)

    def value(neighbors: Tensor, bank_text: Tensor, chosen: list[int]) -> Tensor:
        bank = make_bank(torch.zeros(12, 3, 8), text=bank_text, labels=owners)
        return loss(image[:, chosen], text[:, chosen], LABELS[chosen], neighbors[chosen], bank, rows[chosen])

    bare = bank_text.clone()
    bare[[9, 11]] = 0
    spoken = neighbors.masked_fill((neighbors == 9) | (neighbors == 11), -1)
    torch.testing.assert_close(value(neighbors, bare, [*range(7)]), value(spoken, bank_text, SPOKEN))
    assert value(neighbors, bank_text, SPOKEN) != value(spoken, bank_text, SPOKEN)
