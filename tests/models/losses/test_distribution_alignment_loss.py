import math

import pytest
import torch
from torch import Tensor

from cmdg_plugin.models.losses import DistributionAlignmentLoss, distribution_alignment_loss


def oracle(image: torch.Tensor, text: torch.Tensor, bandwidth: float) -> float:
    def kernel(a: Tensor, b: Tensor) -> float:
        a, b = a / a.norm(), b / b.norm()
        return math.exp(-float(((a - b) ** 2).sum()) / (2 * bandwidth**2))

    n = len(image)
    within = sum(kernel(x[i], x[j]) for x in (image, text) for i in range(n) for j in range(n) if i != j)
    across = sum(kernel(a, b) for a in image for b in text)
    return within / (n * (n - 1)) - 2 * across / n**2


def test_value_and_gradient_are_the_released_ones(golden: dict[str, Tensor]) -> None:
    image = golden['mmd_image'].clone().requires_grad_()
    loss = distribution_alignment_loss(image, golden['mmd_text'], bandwidth=float(golden['mmd_bandwidth']))
    loss.backward()
    torch.testing.assert_close(loss, golden['mmd_loss_expected'], rtol=1e-6, atol=0)
    torch.testing.assert_close(image.grad, golden['mmd_grad_expected'], rtol=1e-6, atol=1e-12)


def test_matches_loops() -> None:
    image, text = torch.randn(5, 4, dtype=torch.float64), torch.randn(5, 4, dtype=torch.float64)
    assert distribution_alignment_loss(image, text, bandwidth=0.9).item() == pytest.approx(oracle(image, text, 0.9))


def test_captions_get_no_gradient() -> None:
    image, text = torch.randn(5, 4, requires_grad=True), torch.randn(5, 4, requires_grad=True)
    distribution_alignment_loss(image, text).backward()
    assert text.grad is None
    assert image.grad.abs().sum() > 0


def test_half_precision_under_autocast_is_computed_in_float32() -> None:
    image, text = torch.randn(6, 16).bfloat16(), torch.randn(6, 16).bfloat16()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        loss = DistributionAlignmentLoss()(image, text)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, distribution_alignment_loss(image.float(), text.float()), rtol=0, atol=0)


def test_identical_features_have_finite_gradients() -> None:
    image = torch.ones(4, 3, requires_grad=True)
    distribution_alignment_loss(image, torch.ones(4, 3)).backward()
    assert image.grad.isfinite().all()


@pytest.mark.parametrize(
    ('image', 'text', 'bandwidth', 'message'),
    [
        ((4, 3), (5, 3), 0.65, 'text must have shape'),
        ((1, 3), (1, 3), 0.65, 'at least two samples'),
        ((0, 3), (0, 3), 0.65, 'image is empty'),
        ((4, 3), (4, 3), 0.0, 'bandwidth must be a finite number above 0'),
    ],
)
def test_bad_input_is_named(image: tuple[int, int], text: tuple[int, int], bandwidth: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        distribution_alignment_loss(torch.zeros(image), torch.zeros(text), bandwidth=bandwidth)
