"""Classification of images by the identities' learned prompts (L_prompt)."""

from torch import Tensor, nn
from torch.nn import functional

from cmdg_plugin.models.utils import check_indices, check_sizes, full_precision, to_common_float
from cmdg_plugin.registry import MODELS

_OWNER = 'prompt_classification_loss'


def prompt_classification_loss(image: Tensor, prompts: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy over all identities, each scored by the dot product with its prompt's feature.

    Source: CMDG, bridging stage (L_prompt); image-to-text cross-entropy of CLIP-ReID without label smoothing.

    Args:
        image: (B, D) global image features, not normalized.
        prompts: (C, D) prompt feature of every identity.
        targets: (B,) identities in 0..C-1.

    Returns:
        Scalar loss, float32 or float64.

    Raises:
        ValueError: If shapes disagree or (checked on the CPU) a target is out of range.
    """
    sizes = check_sizes(_OWNER, image=(image, 'BD'), prompts=(prompts, 'CD'), targets=(targets, 'B'))
    check_indices(_OWNER, 'targets', targets, sizes['C'], 'identities with a prompt')
    with full_precision(image.device):
        image, prompts = to_common_float(image, prompts)
        return functional.cross_entropy(image @ prompts.T, targets.long())


@MODELS.register_module()
class PromptClassificationLoss(nn.Module):
    """Module form of `prompt_classification_loss`."""

    def forward(self, image: Tensor, prompts: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of (B, D) image features, (C, D) prompt features and (B,) identities."""
        return prompt_classification_loss(image, prompts, targets)
