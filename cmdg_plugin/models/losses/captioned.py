"""Images without captions, which caption losses leave out."""

import torch
from torch import Tensor


def have_captions(text: Tensor) -> Tensor:
    """Whether there is a caption: a feature of zeros stands for none, as no text gives it.

    Args:
        text: Caption features, (..., D).

    Returns:
        Mask, (...).
    """
    return text.detach().any(dim=-1)


def hide_others(logits: Tensor, captioned: Tensor) -> Tensor:
    """Let images without captions and their missing captions resemble nothing.

    Args:
        logits: Similarities of images and captions of a batch, (R, B, B).
        captioned: Which of them have captions, (R, B).
    """
    pairs = captioned[:, :, None] & captioned[:, None, :]
    # Not minus infinity: a row without any caption would become NaN, and its gradient too.
    return logits + torch.zeros_like(logits).masked_fill(~pairs, torch.finfo(logits.dtype).min)
