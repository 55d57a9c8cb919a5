"""Images between two sentences about their identity, one of which names the domain."""

from typing import ClassVar

from torch import Tensor
from torch.nn import functional

from cmdg_plugin.models.losses.base import LossTerm
from cmdg_plugin.models.utils import check_indices, check_sizes, full_precision, to_common_float
from cmdg_plugin.registry import MODELS

_OWNER = 'prompt_guidance_loss'


def prompt_guidance_loss(image: Tensor, prompts: Tensor, domain_prompts: Tensor, targets: Tensor) -> Tensor:
    """Pull each image to its identity's prompt, push it from the same prompt with the domain in it.

    `log(1 + exp(cos(image, domain prompt) - cos(image, prompt)))`, mean over the batch.

    Source: CILP-FGDI, bidirectional guiding, by a triplet with soft margin.

    Args:
        image: (B, D) global image features, of any length.
        prompts: (C, D) prompt feature of every identity.
        domain_prompts: (C, D) feature of every identity's prompt that names its domain.
        targets: (B,) identities in 0..C-1.

    Returns:
        Scalar loss, float32 or float64.

    Raises:
        ValueError: If shapes disagree or (checked on the CPU) a target is out of range.
    """
    sizes = check_sizes(
        _OWNER,
        image=(image, 'BD'),
        prompts=(prompts, 'CD'),
        domain_prompts=(domain_prompts, 'CD'),
        targets=(targets, 'B'),
    )
    check_indices(_OWNER, 'targets', targets, sizes['C'], 'identities with a prompt')
    with full_precision(image.device):
        image, towards, away = to_common_float(image, prompts[targets], domain_prompts[targets])
        gap = functional.cosine_similarity(image, away) - functional.cosine_similarity(image, towards)
        return functional.softplus(gap).mean()


@MODELS.register_module()
class PromptGuidanceLoss(LossTerm):
    """Module form of `prompt_guidance_loss`."""

    renamed_inputs: ClassVar = {
        'prompts': 'prompt_features',
        'domain_prompts': 'domain_prompt_features',
        'targets': 'labels',
    }

    def forward(self, image: Tensor, prompt_features: Tensor, domain_prompt_features: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of (B, D) image features, two (C, D) prompt features and (B,) identities."""
        return prompt_guidance_loss(image, prompt_features, domain_prompt_features, labels)
