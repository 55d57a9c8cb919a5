import math

import pytest
import torch

from cmdg_plugin.models.losses import PromptGuidanceLoss, prompt_guidance_loss


def test_matches_loops() -> None:
    image, prompts, others = (torch.randn(rows, 4, dtype=torch.float64) for rows in (3, 5, 5))
    targets = [4, 0, 4]

    def cosine(left: torch.Tensor, right: torch.Tensor) -> float:
        return float(left @ right / (left.norm() * right.norm()))

    expected = sum(
        math.log(1 + math.exp(cosine(row, others[target]) - cosine(row, prompts[target]))) / 3
        for row, target in zip(image, targets, strict=True)
    )
    assert PromptGuidanceLoss()(image, prompts, others, torch.tensor(targets)).item() == pytest.approx(expected)


def test_descent_goes_towards_the_prompt_and_away_from_the_one_with_the_domain() -> None:
    image = torch.tensor([[1.0, 1.0, 1.0]], requires_grad=True)
    prompt, other = torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([[0.0, 1.0, 0.0]])
    prompt_guidance_loss(image, prompt, other, torch.tensor([0])).backward()
    assert image.grad[0, 0] < 0 < image.grad[0, 1]
    assert image.grad[0, 2] == pytest.approx(0, abs=1e-7)


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match='domain_prompts must have shape'):
        prompt_guidance_loss(torch.ones(2, 3), torch.ones(5, 3), torch.ones(4, 3), torch.tensor([0, 1]))
    with pytest.raises(ValueError, match=r'targets must lie in 0..4'):
        prompt_guidance_loss(torch.ones(2, 3), torch.ones(5, 3), torch.ones(5, 3), torch.tensor([0, 5]))
