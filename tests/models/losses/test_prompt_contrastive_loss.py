import math

import pytest
import torch
from torch import Tensor

from cmdg_plugin.models.losses import PromptContrastiveLoss, prompt_contrastive_loss


def oracle_one_way(queries: torch.Tensor, keys: torch.Tensor, labels: list[int], temperature: float) -> float:
    total = 0.0
    for i, query in enumerate(queries):
        scores = [float(query @ key) / temperature for key in keys]
        normalizer = math.log(sum(math.exp(s) for s in scores))
        own = [s - normalizer for s, label in zip(scores, labels, strict=True) if label == labels[i]]
        total -= sum(own) / len(own)
    return total / len(queries)


def test_value_is_the_sum_of_the_released_directions_and_so_is_the_gradient_to_the_prompts(
    golden: dict[str, Tensor],
) -> None:
    text = golden['prompt_text'].clone().requires_grad_()
    loss = prompt_contrastive_loss(golden['prompt_image'], text, golden['prompt_labels'])
    loss.backward()
    expected = golden['prompt_i2t_expected'] + golden['prompt_t2i_expected']
    torch.testing.assert_close(loss, expected, rtol=1e-6, atol=0)
    torch.testing.assert_close(text.grad, golden['prompt_grad_expected'], rtol=1e-6, atol=1e-12)


def test_matches_loops() -> None:
    image, text = torch.randn(6, 4, dtype=torch.float64), torch.randn(6, 4, dtype=torch.float64)
    labels = [8, 8, 8, 2, 2, 5]
    loss = PromptContrastiveLoss(temperature=2.0)(image, text, torch.tensor(labels))
    expected = oracle_one_way(image, text, labels, 2.0) + oracle_one_way(text, image, labels, 2.0)
    assert loss.item() == pytest.approx(expected)


def test_half_precision_under_autocast_is_computed_in_float32() -> None:
    image, text, labels = torch.randn(6, 16).bfloat16(), torch.randn(6, 16), torch.tensor([0, 0, 1, 1, 2, 2])
    with torch.autocast('cpu', dtype=torch.bfloat16):
        loss = prompt_contrastive_loss(image, text, labels)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, prompt_contrastive_loss(image.float(), text, labels), rtol=0, atol=0)


@pytest.mark.parametrize(
    ('image', 'text', 'labels', 'temperature', 'message'),
    [
        ((4, 3), (4, 2), 4, 1.0, 'text must have shape'),
        ((4, 3), (4, 3), 3, 1.0, 'labels must have shape'),
        ((0, 3), (0, 3), 0, 1.0, 'image is empty'),
        ((4, 3), (4, 3), 4, -1.0, 'temperature must be'),
    ],
)
def test_bad_input_is_named(
    image: tuple[int, int], text: tuple[int, int], labels: int, temperature: float, message: str
) -> None:
    same = torch.zeros(labels, dtype=torch.long)
    with pytest.raises(ValueError, match=message):
        prompt_contrastive_loss(torch.zeros(image), torch.zeros(text), same, temperature=temperature)
