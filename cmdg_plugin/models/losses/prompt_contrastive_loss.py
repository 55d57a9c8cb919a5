"""Supervised contrast between images and the prompts of their identities (the prompt stage's loss)."""

from torch import Tensor
from torch.nn import functional

from cmdg_plugin.models.losses.base import LossTerm
from cmdg_plugin.models.utils import check_integers, check_positive, check_sizes, full_precision, to_common_float
from cmdg_plugin.registry import MODELS

_OWNER = 'prompt_contrastive_loss'


def prompt_contrastive_loss(image: Tensor, text: Tensor, labels: Tensor, *, temperature: float = 1.0) -> Tensor:
    """Supervised contrastive loss between image and prompt features, both directions summed.

    For each image, the prompts of its identity in the batch are positives (their log-probabilities are averaged) and
    all other prompts negatives; then the same from each prompt to the images. Features are used as they come, not
    normalized.

    Source: CMDG, prompt learning; after Khosla et al., Supervised Contrastive Learning, and CLIP-ReID's first stage.

    Args:
        image: (B, D) global image features.
        text: (B, D) prompt feature of each image's identity.
        labels: (B,) identities.
        temperature: Divisor of the dot products, above 0.

    Returns:
        Scalar loss, float32 or float64.

    Raises:
        ValueError: If shapes disagree or the temperature is not above 0.
    """
    check_sizes(_OWNER, image=(image, 'BD'), text=(text, 'BD'), labels=(labels, 'B'))
    check_integers(_OWNER, 'labels', labels)
    check_positive(_OWNER, temperature=temperature)
    with full_precision(image.device):
        image, text = to_common_float(image, text)
        logits = image @ text.T / temperature
        positives = (labels[:, None] == labels[None, :]).to(logits.dtype)
        # Every sample is its own positive, so the row sums are never 0; the mask is symmetric and serves both ways.
        targets = positives / positives.sum(dim=1, keepdim=True)
        return functional.cross_entropy(logits, targets) + functional.cross_entropy(logits.T, targets)


@MODELS.register_module()
class PromptContrastiveLoss(LossTerm):
    """Module form of `prompt_contrastive_loss`, whose settings it takes."""

    def __init__(self, temperature: float = 1.0) -> None:
        super().__init__()
        check_positive(type(self).__name__, temperature=temperature)
        self.temperature = temperature

    def forward(self, image: Tensor, text: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of (B, D) image and (B, D) prompt features with (B,) identities."""
        return prompt_contrastive_loss(image, text, labels, temperature=self.temperature)
