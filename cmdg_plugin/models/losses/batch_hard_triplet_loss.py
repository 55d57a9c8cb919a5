"""Triplet loss over the hardest pairs of a batch (L_tri)."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from cmdg_plugin.models.losses.base import LossTerm
from cmdg_plugin.models.training_images import DataSizes
from cmdg_plugin.models.utils import check_integers, check_sizes, full_precision, to_common_float
from cmdg_plugin.registry import MODELS

_OWNER = 'batch_hard_triplet_loss'


def _check_margin(owner: str, margin: float | None) -> None:
    if margin is not None and not (math.isfinite(margin) and margin >= 0):
        raise ValueError(f'{owner}: margin must be None (soft margin) or a finite number of at least 0, got {margin}.')


@torch.no_grad()
def _hardest_pairs(features: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Indices (B,) of each sample's farthest positive and nearest negative, and (B,) whether it has a negative."""
    # Differences, not the matrix-product shortcut: duplicates are at distance 0, not at its rounding error.
    distances = torch.cdist(features, features, compute_mode='donot_use_mm_for_euclid_dist')
    same = labels[:, None] == labels[None, :]
    positives = distances.masked_fill(~same, -math.inf).argmax(dim=1)
    nearest, negatives = distances.masked_fill(same, math.inf).min(dim=1)
    return positives, negatives, nearest.isfinite()


def batch_hard_triplet_loss(features: Tensor, labels: Tensor, *, margin: float | None = None) -> Tensor:
    """Pull each sample to its farthest positive, push it from its nearest negative, in Euclidean distance.

    `log(1 + exp(d_ap - d_an))`, or `max(0, d_ap - d_an + margin)` with a margin; mean over the batch. A sample alone of
    its identity is its own positive at distance 0. Gradients stay finite where features coincide.

    Source: Hermans et al., In Defense of the Triplet Loss for Person Re-Identification; CMDG (L_tri) with soft margin.

    Args:
        features: (B, D) features, not normalized.
        labels: (B,) identities; at least two different ones.
        margin: Hinge margin of at least 0; None for the soft margin.

    Returns:
        Scalar loss, float32 or float64.

    Raises:
        ValueError: If shapes disagree, the margin is negative, or (checked on the CPU) all samples are one identity.
    """
    check_sizes(_OWNER, features=(features, 'BD'), labels=(labels, 'B'))
    check_integers(_OWNER, 'labels', labels)
    _check_margin(_OWNER, margin)
    # A GPU would have to be waited for to know this; there, samples without a negative add 0 to the mean.
    if labels.device.type == 'cpu' and bool((labels == labels[0]).all()):
        raise ValueError(f'{_OWNER}: a batch needs at least two identities, got only identity {int(labels[0])}.')
    with full_precision(features.device):
        (features,) = to_common_float(features)
        positives, negatives, has_negative = _hardest_pairs(features.detach(), labels)
        # Only the chosen pairs take part in autograd; the norm's gradient at 0 is 0.
        to_positive = torch.linalg.vector_norm(features - features[positives], dim=1)
        to_negative = torch.linalg.vector_norm(features - features[negatives], dim=1)
        gap = (to_positive - to_negative).masked_fill(~has_negative, -math.inf)
        return (functional.softplus(gap) if margin is None else functional.relu(gap + margin)).mean()


@MODELS.register_module()
class BatchHardTripletLoss(LossTerm):
    """Module form of `batch_hard_triplet_loss`, whose settings it takes."""

    def __init__(self, margin: float | None = None) -> None:
        super().__init__()
        _check_margin(type(self).__name__, margin)
        self.margin = margin

    def check_data(self, sizes: DataSizes) -> None:
        """Check that any identity has a positive pair; see the base class."""
        if not sizes.num_paired:
            raise ValueError(
                f'{type(self).__name__} compares images of one identity, but every identity has one image only; look '
                'whether identities were read from the right numbers.'
            )

    def forward(self, features: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of (B, D) features with (B,) identities."""
        return batch_hard_triplet_loss(features, labels, margin=self.margin)
