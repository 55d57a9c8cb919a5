"""Contrast between images and a memory that holds one centroid of every identity."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from cmdg_plugin.models.identity_count import guard_identity_count
from cmdg_plugin.models.losses.base import LossTerm
from cmdg_plugin.models.training_images import DataSizes
from cmdg_plugin.models.utils import (
    check_fraction,
    check_indices,
    check_positive,
    check_sizes,
    full_precision,
    to_common_float,
)
from cmdg_plugin.registry import MODELS

_OWNER = 'identity_memory_loss'
_STARTS = ('images', 'captions', 'prompts')


def identity_memory_loss(features: Tensor, labels: Tensor, centroids: Tensor, *, temperature: float = 0.05) -> Tensor:
    """InfoNCE of images over the centroids of all identities; no gradient reaches the centroids.

    Source: Dai et al., Cluster Contrast for Unsupervised Person Re-Identification; with labels, DSM-CLIP.

    Args:
        features: (B, D) image features; L2-normalized here.
        labels: (B,) identities in 0..C-1.
        centroids: (C, D) centroids of the identities; L2-normalized here.
        temperature: Divisor of the cosine similarities, above 0.

    Returns:
        Scalar loss, float32 or float64.

    Raises:
        ValueError: If shapes disagree, the temperature is not above 0, or (checked on the CPU) a label is out of range.
    """
    _check(_OWNER, features, labels, centroids)
    check_positive(_OWNER, temperature=temperature)
    with full_precision(features.device):
        features, centroids = to_common_float(features, centroids.detach())
        scores = functional.normalize(features, dim=1) @ functional.normalize(centroids, dim=1).T
        return functional.cross_entropy(scores / temperature, labels.long())


@torch.no_grad()
def blend_hardest(centroids: Tensor, features: Tensor, labels: Tensor, *, momentum: float = 0.2) -> Tensor:
    """Centroids after a batch: `normalize(momentum c + (1 - momentum) f)`, where `f` is the hardest of the identity.

    The hardest instance is the one whose cosine with the identity's centroid is lowest; of equal ones the first counts.
    Identities that the batch lacks keep their centroids bit by bit.

    Source: Dai et al., Cluster Contrast, momentum update; hardest instance: its public code.

    Args:
        centroids: (C, D) centroids, L2-normalized; left as they are.
        features: (B, D) features; L2-normalized here.
        labels: (B,) identities in 0..C-1.
        momentum: Share of the old centroid, in [0, 1].

    Returns:
        New centroids, (C, D).

    Raises:
        ValueError: If shapes disagree, the momentum is out of range, or (checked on the CPU) a label is.
    """
    _check('blend_hardest', features, labels, centroids)
    check_fraction('blend_hardest', momentum=momentum)
    with full_precision(features.device):
        rows, old = to_common_float(features, centroids[labels])
        rows = functional.normalize(rows, dim=1)
        same = labels[:, None] == labels[None, :]
        cosines = (rows * functional.normalize(old, dim=1)).sum(dim=1)
        hardest = torch.where(same, cosines[None, :], torch.inf).argmin(dim=1)
        new = functional.normalize(momentum * old + (1 - momentum) * rows[hardest], dim=1)
        # Rows of one identity all write the same centroid, so the order of writing does not matter.
        blended = centroids.clone()
        blended[labels] = new.to(centroids.dtype)
        return blended


@MODELS.register_module()
class IdentityMemoryLoss(LossTerm):
    """Module form of `identity_memory_loss`, with the memory.

    The memory starts when its stage begins, is compared with the batch as the step before left it, and then takes the
    batch in (`blend_hardest`). It is a part of checkpoints, from which a run that goes on inside the stage takes it.

    Args:
        temperature: Divisor of the cosine similarities, above 0.
        momentum: Share of the old centroid in an update, in [0, 1]; unlike the momentum of `CaptionMemoryBank`, which
            is the share of the new feature.
        start: What an identity's centroid starts from: the mean of its `images`' or of its `captions`' global features,
            or its prompt's feature (`prompts`).

    Raises:
        ValueError: If a number is out of range or `start` is unknown.
    """

    identity_source: str
    centroids: Tensor | None

    def __init__(self, temperature: float = 0.05, momentum: float = 0.2, start: str = 'images') -> None:
        super().__init__()
        check_positive(type(self).__name__, temperature=temperature)
        check_fraction(type(self).__name__, momentum=momentum)
        if start not in _STARTS:
            raise ValueError(f'{type(self).__name__}: start must be one of {", ".join(_STARTS)}, got {start!r}.')
        self.temperature = temperature
        self.momentum = momentum
        self.identity_source = start
        self.has_begun = False
        self.register_buffer('centroids', None)

    def bind_data(self, sizes: DataSizes) -> None:
        """Make the memory, empty; see the base class."""
        self.centroids = torch.zeros(sizes.num_identities, sizes.embed_dim)
        guard_identity_count(self, sizes.num_identities, 'centroids')

    def begin(self, identity_features: Callable[[str], Tensor], resumed: bool) -> None:
        """Start the memory, or keep that of the checkpoint; see the base class.

        Raises:
            ValueError: If the run goes on inside the stage from a checkpoint without the memory.
        """
        if self.centroids is None:
            raise RuntimeError('IdentityMemoryLoss has no memory yet: call bind_data(sizes) first.')
        if not resumed:
            self.centroids.copy_(functional.normalize(identity_features(self.identity_source), dim=1))
        elif not self.centroids.any():
            raise ValueError(
                'The checkpoint was saved inside the stage, but without the memory of IdentityMemoryLoss: resume with '
                'the loss terms of that run, or start the stage anew with load_from.'
            )
        self.has_begun = True

    def forward(self, features: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of (B, D) features with (B,) identities, then update the memory where gradients are on.

        Raises:
            RuntimeError: If the memory was not started.
        """
        if self.centroids is None or not self.has_begun:
            raise RuntimeError(
                "The memory of IdentityMemoryLoss was not started: add dict(type='StagePreparationHook', stage=..., "
                'pipeline=...) for its stage to custom_hooks.'
            )
        # A copy, as the backward pass needs the centroids that the update is about to change.
        loss = identity_memory_loss(features, labels, self.centroids.clone(), temperature=self.temperature)
        if torch.is_grad_enabled():
            self.centroids.copy_(blend_hardest(self.centroids, features, labels, momentum=self.momentum))
        return loss


def _check(owner: str, features: Tensor, labels: Tensor, centroids: Tensor) -> None:
    check_sizes(owner, features=(features, 'BD'), labels=(labels, 'B'), centroids=(centroids, 'CD'))
    check_indices(owner, 'labels', labels, len(centroids), 'identities in the memory')
