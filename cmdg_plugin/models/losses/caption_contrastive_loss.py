"""Contrast between the regions of images and their captions (L_cap)."""

import torch
from torch import Tensor
from torch.nn import functional

from cmdg_plugin.models.losses.base import LossTerm
from cmdg_plugin.models.losses.captioned import have_captions, hide_others
from cmdg_plugin.models.utils import check_positive, check_sizes, full_precision, to_common_float
from cmdg_plugin.registry import MODELS

_OWNER = 'caption_contrastive_loss'
_LEFT_OUT = -100  # by cross_entropy


def caption_contrastive_loss(image_regions: Tensor, text_regions: Tensor, *, temperature: float = 0.1) -> Tensor:
    """Symmetric InfoNCE between image and caption features of the same region, inside the batch.

    Features are L2-normalized; each image has one right caption (its own) and the other way around; mean of both
    directions, the batch and the regions. Where a caption's feature is zero, there is none: its image is left out.

    Source: CMDG, region-caption contrast (L_cap); InfoNCE: van den Oord et al., Contrastive Predictive Coding.

    Args:
        image_regions: (R, B, D) image features of R regions.
        text_regions: (R, B, D) caption features.
        temperature: Divisor of the cosine similarities, above 0.

    Returns:
        Scalar loss, float32 or float64.

    Raises:
        ValueError: If shapes disagree or the temperature is not above 0.
    """
    sizes = check_sizes(_OWNER, image_regions=(image_regions, 'RBD'), text_regions=(text_regions, 'RBD'))
    check_positive(_OWNER, temperature=temperature)
    with full_precision(image_regions.device):
        image, text = to_common_float(image_regions, text_regions)
        logits = functional.normalize(image, dim=-1) @ functional.normalize(text, dim=-1).mT / temperature
        captioned = have_captions(text)
        logits = hide_others(logits, captioned)
        some = captioned.any()
        # Where nobody has a caption, there would be nothing to take the mean of.
        own = torch.arange(sizes['B'], device=logits.device).where(captioned | ~some, _LEFT_OUT)
        # With regions first, cross_entropy's class dimension is the middle one: once the images, once the captions.
        return some * (functional.cross_entropy(logits, own) + functional.cross_entropy(logits.mT, own)) / 2


@MODELS.register_module()
class CaptionContrastiveLoss(LossTerm):
    """Module form of `caption_contrastive_loss`, whose settings it takes."""

    def __init__(self, temperature: float = 0.1) -> None:
        super().__init__()
        check_positive(type(self).__name__, temperature=temperature)
        self.temperature = temperature

    def forward(self, image_regions: Tensor, text_regions: Tensor) -> Tensor:
        """Return the loss of (R, B, D) image and (R, B, D) caption features."""
        return caption_contrastive_loss(image_regions, text_regions, temperature=self.temperature)
