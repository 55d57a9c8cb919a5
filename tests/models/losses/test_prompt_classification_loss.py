import math

import pytest
import torch

from cmdg_plugin.models.losses import PromptClassificationLoss, prompt_classification_loss


def test_matches_loops() -> None:
    image, prompts = torch.randn(3, 4, dtype=torch.float64), torch.randn(5, 4, dtype=torch.float64)
    targets = [4, 0, 2]
    expected = 0.0
    for row, target in zip(image, targets, strict=True):
        scores = [float(row @ prompt) for prompt in prompts]
        expected += (math.log(sum(math.exp(s) for s in scores)) - scores[target]) / len(image)
    assert PromptClassificationLoss()(image, prompts, torch.tensor(targets)).item() == pytest.approx(expected)


def test_smoothing_shares_mass_with_every_identity() -> None:
    image, prompts, targets = torch.randn(3, 4), torch.randn(5, 4), torch.tensor([4, 0, 2])
    chances = (image @ prompts.T).log_softmax(dim=1)
    expected = -sum(0.9 * row[target] + 0.1 * row.mean() for row, target in zip(chances, targets, strict=True)) / 3
    torch.testing.assert_close(PromptClassificationLoss(smoothing=0.1)(image, prompts, targets), expected)
    with pytest.raises(ValueError, match='smoothing must lie between 0 and 1'):
        PromptClassificationLoss(smoothing=1.5)


def test_half_precision_under_autocast_is_computed_in_float32() -> None:
    image, prompts, targets = torch.randn(3, 16).bfloat16(), torch.randn(5, 16), torch.tensor([4, 0, 2])
    with torch.autocast('cpu', dtype=torch.bfloat16):
        loss = prompt_classification_loss(image, prompts, targets)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, prompt_classification_loss(image.float(), prompts, targets), rtol=0, atol=0)


@pytest.mark.parametrize(
    ('image', 'prompts', 'targets', 'message'),
    [
        ((2, 3), (5, 4), [0, 1], 'prompts must have shape'),
        ((2, 3), (5, 3), [0, 5], r'targets must lie in 0..4 \(there are 5 identities with a prompt\)'),
        ((0, 3), (5, 3), [], 'image is empty'),
    ],
)
def test_bad_input_is_named(image: tuple[int, int], prompts: tuple[int, int], targets: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        prompt_classification_loss(torch.zeros(image), torch.zeros(prompts), torch.tensor(targets, dtype=torch.long))
