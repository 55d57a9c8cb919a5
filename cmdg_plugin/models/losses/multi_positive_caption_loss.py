"""Contrast between image regions and captions in which an identity's captions are not each other's negatives."""

import torch
from torch import Tensor
from torch.nn import functional

from cmdg_plugin.models.losses.base import LossTerm
from cmdg_plugin.models.utils import check_integers, check_positive, check_sizes, full_precision, to_common_float
from cmdg_plugin.registry import MODELS

_OWNER = 'multi_positive_caption_loss'


def multi_positive_caption_loss(
    image_regions: Tensor, text_regions: Tensor, labels: Tensor, *, temperature: float = 0.1
) -> Tensor:
    """Symmetric InfoNCE of regions and captions inside the batch, where all captions of an identity are right.

    Features are L2-normalized. The target of an image spreads evenly over the captions of its identity in the batch,
    that of a caption over the images; mean of both directions, the batch and the regions. If all identities differ,
    it equals `caption_contrastive_loss`.

    Source: Khosla et al., Supervised Contrastive Learning (the mean over positives outside the logarithm), between
    images and captions as in CMDG's L_cap.

    Args:
        image_regions: (R, B, D) image features of R regions.
        text_regions: (R, B, D) caption features.
        labels: (B,) identities.
        temperature: Divisor of the cosine similarities, above 0.

    Returns:
        Scalar loss, float32 or float64.

    Raises:
        TypeError: If the labels are not integers.
        ValueError: If shapes disagree or the temperature is not above 0.
    """
    sizes = check_sizes(
        _OWNER, image_regions=(image_regions, 'RBD'), text_regions=(text_regions, 'RBD'), labels=(labels, 'B')
    )
    check_integers(_OWNER, 'labels', labels)
    check_positive(_OWNER, temperature=temperature)
    with full_precision(image_regions.device):
        image, text = to_common_float(image_regions, text_regions)
        logits = functional.normalize(image, dim=-1) @ functional.normalize(text, dim=-1).mT / temperature
        same = (labels[:, None] == labels[None, :]).to(logits.dtype)
        # Symmetric, as rows of one identity are divided by one number: it serves both directions.
        target = (same / same.sum(dim=1, keepdim=True)).expand_as(logits)
        both = torch.log_softmax(logits, dim=-1) + torch.log_softmax(logits, dim=-2)
        return -(target * both).sum() / (2 * sizes['R'] * sizes['B'])


@MODELS.register_module()
class MultiPositiveCaptionLoss(LossTerm):
    """Module form of `multi_positive_caption_loss`.

    Args:
        temperature: Divisor of the cosine similarities, above 0.
    """

    def __init__(self, temperature: float = 0.1) -> None:
        super().__init__()
        check_positive(type(self).__name__, temperature=temperature)
        self.temperature = temperature

    def forward(self, image_regions: Tensor, text_regions: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of (R, B, D) image and (R, B, D) caption features with (B,) identities."""
        return multi_positive_caption_loss(image_regions, text_regions, labels, temperature=self.temperature)
