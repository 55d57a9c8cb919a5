"""Pairs that find each other, with towers whose features are given."""

import numpy as np
import pretraining.scores
import pytest
import torch
from pretraining.elsewhere import Pairs
from pretraining.scores import score_pairs
from torch import Tensor


def test_ranks_are_counted_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twelve pictures; the first caption is nearer to the second one, the last caption is opposed to its own."""
    images, texts = torch.eye(12), torch.eye(12)
    texts[0] = images[1] + 0.5 * images[0]
    texts[11] = -images[11]
    numbers = torch.arange(12)
    monkeypatch.setattr(pretraining.scores, 'encode_image', lambda _, batch: (images[_numbers(batch)], None))
    monkeypatch.setattr(pretraining.scores, 'encode_text', lambda _, batch: texts[batch[:, 0]])
    pixels = np.zeros((12, 2, 2, 3), np.uint8)
    # Instance normalization takes contrast away, not the place of the light.
    for number in range(12):
        pixels[number].flat[number] = 255
    scores = score_pairs(torch.nn.Identity(), Pairs(pixels, [['']] * 12), numbers[:, None])
    assert scores == pytest.approx(
        {
            'image to text R@1': 100 * 11 / 12,
            'image to text R@10': 100 * 11 / 12,
            'text to image R@1': 100 * 10 / 12,
            'text to image R@10': 100 * 11 / 12,
        }
    )


def _numbers(batch: Tensor) -> Tensor:
    """Which pixel of each picture is the bright one, in the order of files: rows, columns, colors."""
    return batch.permute(0, 2, 3, 1).flatten(1).argmax(dim=1)
