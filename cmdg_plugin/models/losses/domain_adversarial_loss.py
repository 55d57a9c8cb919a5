"""Domain classification after a gradient reversal: features that tell domains apart are unlearned."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from cmdg_plugin.models.identity_count import guard_identity_count
from cmdg_plugin.models.losses.base import LossTerm
from cmdg_plugin.models.training_images import DataSizes
from cmdg_plugin.models.utils import check_count, check_indices, check_positive, check_sizes, full_precision
from cmdg_plugin.registry import MODELS

_OWNER = 'domain_adversarial_loss'


class _ReverseGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, strength: float) -> Tensor:
        ctx.strength = strength
        return features.view_as(features)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return -ctx.strength * gradient, None


def reverse_gradient(features: Tensor, strength: float = 1.0) -> Tensor:
    """Return the features as they are; gradients that come back are multiplied by `-strength`.

    Source: Ganin and Lempitsky, Unsupervised Domain Adaptation by Backpropagation.

    Args:
        features: Tensor of any shape.
        strength: Factor of the reversed gradient.
    """
    return _ReverseGradient.apply(features, strength)


def domain_adversarial_loss(
    features: Tensor, domains: Tensor, classifier: Callable[[Tensor], Tensor], *, strength: float = 0.1
) -> Tensor:
    """Cross-entropy of a domain classifier on features that learn the opposite of it.

    The classifier learns to tell the features' domains; the features, through the reversed gradient, to hide them.

    Source: CILP-FGDI, domain-invariant prompts.

    Args:
        features: (B, D) features.
        domains: (B,) domains in 0..K-1.
        classifier: Turns features (B, D) into scores (B, K).
        strength: Factor of the reversed gradient, above 0.

    Returns:
        Scalar loss.

    Raises:
        ValueError: If shapes disagree, `strength` is not above 0, or (checked on the CPU) a domain is out of range.
    """
    check_sizes(_OWNER, features=(features, 'BD'), domains=(domains, 'B'))
    check_positive(_OWNER, strength=strength)
    scores = classifier(reverse_gradient(features, strength))
    classes = check_sizes(_OWNER, domains=(domains, 'B'), scores=(scores, 'BK'))['K']
    check_indices(_OWNER, 'domains', domains, classes, 'domains in the classifier')
    return functional.cross_entropy(scores, domains.long())


@MODELS.register_module()
class DomainAdversarialLoss(LossTerm):
    """Module form of `domain_adversarial_loss`, with a classifier of one hidden layer.

    The classifier is made when the model is bound to training data, which says how many domains there are. Its layers
    are normalized sample by sample, unlike CILP-FGDI's batch normalization, which fails on a batch of one.

    Args:
        strength: Factor of the reversed gradient, above 0.
        hidden: Width of the hidden layer.

    Raises:
        ValueError: If a number is out of range.
    """

    def __init__(self, strength: float = 0.1, hidden: int = 128) -> None:
        super().__init__()
        check_positive(type(self).__name__, strength=strength)
        check_count(type(self).__name__, hidden=hidden)
        self.strength = strength
        self.hidden = hidden
        self.classifier: nn.Sequential | None = None

    def bind_data(self, sizes: DataSizes) -> None:
        """Make the classifier of features in the shared width; see the base class."""
        self.classifier = nn.Sequential(
            nn.Linear(sizes.embed_dim, self.hidden),
            nn.LayerNorm(self.hidden),
            nn.ReLU(),
            nn.Linear(self.hidden, sizes.num_domains),
        )
        guard_identity_count(self.classifier, sizes.num_domains, '3.weight', what='domains')

    def check_data(self, sizes: DataSizes) -> None:
        """Check that there are two domains to hide from each other; see the base class."""
        if sizes.num_domains < 2:
            raise ValueError(
                f'{type(self).__name__}: the training data has one domain, so there is nothing to hide; train on two '
                'or more sources, or leave this term out.'
            )

    def forward(self, features: Tensor, domains: Tensor) -> Tensor:
        """Return the loss of (B, D) features with (B,) domains.

        Raises:
            RuntimeError: If `bind_data` was not called.
        """
        if self.classifier is None:
            raise RuntimeError(
                'DomainAdversarialLoss has no classifier yet: bind_data(sizes) makes it, which '
                'CMDGReID.bind_identities calls.'
            )
        with full_precision(features.device):
            features = features.to(next(self.classifier.parameters()).dtype)
            return domain_adversarial_loss(features, domains, self.classifier, strength=self.strength)
