import math
from pathlib import Path

import pytest
import torch
from helpers.banks import make_bank
from helpers.ranks import run_on_ranks
from torch import Tensor

from cmdg_plugin.models.losses import (
    LossTerms,
    MultiPositiveCaptionLoss,
    caption_contrastive_loss,
    multi_positive_caption_loss,
)


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


BATCH, LABELS, BANK_LABELS = [4, 0, 7], [1, 0, 2], [0, 0, 1, 1, 1, 2, 2, 2]
# Of image 0: a row that is in the batch, one of its own identity, one that is in neither; of image 1: none that counts.
NEIGHBORS = [[0, 3, 5], [1, -1, -1], [2, 1, -1]]


def look_alike_oracle(image: Tensor, text: Tensor, bank_text: Tensor, neighbors: Tensor, ratio: float) -> float:
    """Three parts and the global region: loops over images; what has no look-alikes is as without them."""

    def cosine(a: Tensor, b: Tensor) -> float:
        return float(a @ b / a.norm() / b.norm())

    total = 0.0
    for region in range(4):
        for i, query in enumerate(image[region]):
            rows = neighbors[region, i].tolist() if region < 3 else []
            rows = [row for row in rows if row >= 0 and BANK_LABELS[row] != LABELS[i]]
            batch = [cosine(query, t) / 0.5 for t, row in zip(text[region], BATCH, strict=True) if row not in rows]
            others = [cosine(query, bank_text[row, region]) / 0.5 for row in rows]
            log_sum = math.log(sum(math.exp(score) for score in batch + others))
            mass = ratio if rows else 0.0
            total -= (1 - mass) * (cosine(query, text[region, i]) / 0.5 - log_sum)
            total -= mass * sum(score - log_sum for score in others) / max(len(others), 1)
        for j, caption in enumerate(text[region]):
            scores = [cosine(caption, each) / 0.5 for each in image[region]]
            total += math.log(sum(math.exp(score) for score in scores)) - scores[j]
    return total / (2 * 4 * 3)


def look_alike_problem() -> tuple[Tensor, Tensor, Tensor]:
    bank_text = torch.randn(8, 3, 4, dtype=torch.float64)
    text = torch.cat([bank_text[BATCH].transpose(0, 1), torch.randn(1, 3, 4, dtype=torch.float64)])
    return torch.randn(4, 3, 4, dtype=torch.float64), text, bank_text


@pytest.mark.parametrize('by_part', [True, False])
def test_captions_of_look_alikes_match_loops(by_part: bool) -> None:
    image, text, bank_text = look_alike_problem()
    image.requires_grad_()
    bank = make_bank(text=bank_text, labels=torch.tensor(BANK_LABELS))
    neighbors = torch.tensor(NEIGHBORS)
    whole = torch.stack([neighbors, neighbors.roll(1, dims=1), neighbors]) if by_part else neighbors.expand(3, -1, -1)
    loss = MultiPositiveCaptionLoss(0.5, look_alike_ratio=0.3)
    arguments = (image, text, torch.tensor(LABELS), whole if by_part else neighbors, bank, torch.tensor(BATCH))
    value = loss(*arguments)
    assert value.item() == pytest.approx(look_alike_oracle(image.detach(), text, bank_text, whole, 0.3), rel=1e-12)
    assert torch.autograd.gradcheck(lambda each: loss(each, *arguments[1:]), image)


def test_without_look_alikes_or_mass_it_is_the_plain_loss() -> None:
    image, text, bank_text = look_alike_problem()
    bank = make_bank(text=bank_text, labels=torch.tensor(BANK_LABELS))
    labels, index = torch.tensor(LABELS), torch.tensor(BATCH)
    plain = multi_positive_caption_loss(image, text, labels)
    own_only = torch.tensor([[3, 2], [1, -1], [5, 6]])
    for ratio, neighbors in ((0.3, own_only), (0.3, None), (0.0, torch.tensor(NEIGHBORS))):
        loss = MultiPositiveCaptionLoss(look_alike_ratio=ratio)(image, text, labels, neighbors, bank, index)
        torch.testing.assert_close(loss, plain, rtol=1e-12, atol=0)


def test_look_alikes_take_their_inputs() -> None:
    with pytest.raises(ValueError, match='look_alike_ratio must lie between 0 and 1'):
        MultiPositiveCaptionLoss(look_alike_ratio=2)
    with pytest.raises(ValueError, match=r'look_alike_ratio=0\.3 does nothing without neighbors'):
        LossTerms([{'type': 'MultiPositiveCaptionLoss', 'name': 'caption', 'look_alike_ratio': 0.3}])
    image, text, _ = look_alike_problem()
    with pytest.raises(ValueError, match='neighbors come with bank and image_index'):
        MultiPositiveCaptionLoss(look_alike_ratio=0.3)(image, text, torch.tensor(LABELS), torch.tensor(NEIGHBORS))


def _on_ranks(rank: int, ranks: int, folder: Path) -> None:
    from helpers.banks import make_bank

    from cmdg_plugin.models.losses.multi_positive_caption_loss import find_look_alikes
    from cmdg_plugin.models.memory import own_rows

    torch.manual_seed(0)
    text, labels = torch.randn(8, 3, 4), torch.tensor(BANK_LABELS)
    rows = own_rows(8)
    given = (torch.tensor(NEIGHBORS), torch.tensor(LABELS), torch.tensor(BATCH))
    whole = find_look_alikes(given[0], make_bank(text=text, labels=labels), *given[1:])
    part = make_bank(text=text[rows], first_row=rows.start)
    object.__setattr__(part, 'labels', labels)
    for one, other in zip(find_look_alikes(given[0], part, *given[1:]), whole, strict=True):
        assert torch.equal(one, other)


def test_ranks_find_the_captions_in_each_others_rows(tmp_path: Path) -> None:
    run_on_ranks(_on_ranks, tmp_path)
