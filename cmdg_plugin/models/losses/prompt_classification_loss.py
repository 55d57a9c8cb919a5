"""Classification of images by the identities' learned prompts (L_prompt)."""

from typing import ClassVar

from torch import Tensor
from torch.nn import functional

from cmdg_plugin.models.losses.base import LossTerm
from cmdg_plugin.models.utils import check_fraction, check_indices, check_sizes, full_precision, to_common_float
from cmdg_plugin.registry import MODELS

_OWNER = 'prompt_classification_loss'


def prompt_classification_loss(image: Tensor, prompts: Tensor, targets: Tensor, *, smoothing: float = 0.0) -> Tensor:
    """Cross-entropy over all identities, each scored by the dot product with its prompt's feature.

    Source: CMDG, bridging stage (L_prompt); with smoothing 0.1, the image-to-text cross-entropy of CLIP-ReID (L_i2tce).

    Args:
        image: (B, D) global image features, not normalized.
        prompts: (C, D) prompt feature of every identity.
        targets: (B,) identities in 0..C-1.
        smoothing: Mass spread evenly over all identities, in [0, 1].

    Returns:
        Scalar loss, float32 or float64.

    Raises:
        ValueError: If shapes disagree, `smoothing` leaves [0, 1], or (checked on the CPU) a target is out of range.
    """
    sizes = check_sizes(_OWNER, image=(image, 'BD'), prompts=(prompts, 'CD'), targets=(targets, 'B'))
    check_fraction(_OWNER, smoothing=smoothing)
    check_indices(_OWNER, 'targets', targets, sizes['C'], 'identities with a prompt')
    with full_precision(image.device):
        image, prompts = to_common_float(image, prompts)
        return functional.cross_entropy(image @ prompts.T, targets.long(), label_smoothing=smoothing)


@MODELS.register_module()
class PromptClassificationLoss(LossTerm):
    """Module form of `prompt_classification_loss`, whose settings it takes."""

    renamed_inputs: ClassVar = {'prompts': 'prompt_features', 'targets': 'labels'}

    def __init__(self, smoothing: float = 0.0) -> None:
        super().__init__()
        check_fraction(type(self).__name__, smoothing=smoothing)
        self.smoothing = smoothing

    def forward(self, image: Tensor, prompt_features: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of (B, D) image features, (C, D) prompt features and (B,) identities."""
        return prompt_classification_loss(image, prompt_features, labels, smoothing=self.smoothing)
