import math

import pytest
import torch
from torch import Tensor

from cmdg_plugin.models.losses import CaptionContrastiveLoss, caption_contrastive_loss


def oracle(image: torch.Tensor, text: torch.Tensor, temperature: float) -> float:
    def nce(queries: Tensor, keys: Tensor) -> float:
        total = 0.0
        for i, query in enumerate(queries):
            scores = [float(query @ key / query.norm() / key.norm()) / temperature for key in keys]
            total += math.log(sum(math.exp(s) for s in scores)) - scores[i]
        return total / len(queries)

    return sum((nce(a, b) + nce(b, a)) / 2 for a, b in zip(image, text, strict=True)) / len(image)


def test_value_and_gradient_are_the_released_ones(golden: dict[str, Tensor]) -> None:
    image = golden['caption_image_regions'].clone().requires_grad_()
    temperature = float(golden['caption_temperature'])
    loss = caption_contrastive_loss(image, golden['caption_text_regions'], temperature=temperature)
    loss.backward()
    torch.testing.assert_close(loss, golden['caption_loss_expected'], rtol=1e-6, atol=0)
    torch.testing.assert_close(image.grad, golden['caption_grad_expected'], rtol=1e-6, atol=1e-12)


def test_matches_loops() -> None:
    image, text = torch.randn(3, 5, 4, dtype=torch.float64), torch.randn(3, 5, 4, dtype=torch.float64)
    loss = CaptionContrastiveLoss(temperature=0.5)(image, text)
    assert loss.item() == pytest.approx(oracle(image, text, 0.5))


def test_captions_get_gradients_too() -> None:
    text = torch.randn(2, 4, 8, requires_grad=True)
    caption_contrastive_loss(torch.randn(2, 4, 8), text).backward()
    assert text.grad.abs().sum() > 0


def test_half_precision_under_autocast_is_computed_in_float32() -> None:
    image, text = torch.randn(4, 6, 16).bfloat16(), torch.randn(4, 6, 16)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        loss = caption_contrastive_loss(image, text)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, caption_contrastive_loss(image.float(), text), rtol=0, atol=0)


@pytest.mark.parametrize(
    ('image', 'text', 'temperature', 'message'),
    [
        ((4, 2, 3), (3, 2, 3), 0.1, r'text_regions must have shape \(R, B, D\) with R=4, B=2, D=3, got \(3, 2, 3\)'),
        ((2, 3), (2, 3), 0.1, 'image_regions must have shape'),
        ((4, 2, 3), (4, 2, 3), 0.0, 'temperature must be'),
        ((4, 0, 3), (4, 0, 3), 0.1, 'image_regions is empty'),
    ],
)
def test_bad_input_is_named(image: tuple[int, ...], text: tuple[int, ...], temperature: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        caption_contrastive_loss(torch.zeros(image), torch.zeros(text), temperature=temperature)
