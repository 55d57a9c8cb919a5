"""Identity classification with soft targets from the neighbors' identities (L_sid)."""

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from cmdg_plugin.models.losses.base import LossTerm
from cmdg_plugin.models.memory import BankRows, check_bank
from cmdg_plugin.models.utils import check_fraction, check_indices, check_sizes, full_precision, to_common_float
from cmdg_plugin.registry import MODELS

_OWNER = 'soft_identity_loss'


def soft_identity_loss(
    logits: Tensor,
    targets: Tensor,
    neighbor_labels: Tensor | None = None,
    *,
    smoothing: float = 0.1,
    soft_weight: float = 0.5,
    soft_ratio: float = 0.5,
    text_labels: Tensor | None = None,
    text_ratio: float = 0.0,
) -> Tensor:
    """Cross-entropy with label smoothing, blended with a soft target made of the neighbors' identities.

    `(1 - soft_weight) * CE(smoothed target) + soft_weight * CE(soft target)`, where the soft target is
    `(1 - soft_ratio) * onehot(target) + soft_ratio * histogram(neighbor_labels) / M`. Without neighbors, the label-
    smoothed cross-entropy alone. Neighbors found by their captions take `text_ratio` of the mass from the own identity:
    `(1 - soft_ratio - text_ratio) * onehot(target) + ... + text_ratio * histogram(text_labels) / K`.

    Source: CMDG, identity loss of the bridging stage (L_sid); without neighbors, of the warm-up; text-guided bridging
    as in the paper's figure.

    Args:
        logits: (B, C) scores, C identities.
        targets: (B,) own identities in 0..C-1.
        neighbor_labels: (B, M) identities of each sample's neighbors, in any order, in 0..C-1.
        smoothing: Mass spread evenly over all identities, in [0, 1].
        soft_weight: Weight of the soft target's term, in [0, 1].
        soft_ratio: Mass of the neighbors inside the soft target, in [0, 1].
        text_labels: (B, K) identities of the neighbors found by their captions; taken only beside `neighbor_labels`.
        text_ratio: Mass of those inside the soft target; at most `1 - soft_ratio`.

    Returns:
        Scalar loss, float32 or float64.

    Raises:
        ValueError: If shapes disagree, a fraction leaves [0, 1], the two ratios exceed 1 together, text labels come
            alone, or (checked on the CPU) a label is out of range.
    """
    classes = check_sizes(_OWNER, logits=(logits, 'BC'), targets=(targets, 'B'))['C']
    _check_masses(_OWNER, smoothing, soft_weight, soft_ratio, text_ratio)
    if text_labels is not None and neighbor_labels is None:
        raise ValueError(f'{_OWNER}: text_labels join neighbor_labels, but those are missing.')
    check_indices(_OWNER, 'targets', targets, classes, 'identities in the classifier')
    targets = targets.long()
    with full_precision(logits.device):
        (logits,) = to_common_float(logits)
        hard = functional.cross_entropy(logits, targets, label_smoothing=smoothing)
        if neighbor_labels is None:
            return hard
        check_sizes(_OWNER, logits=(logits, 'BC'), neighbor_labels=(neighbor_labels, 'BM'))
        check_indices(_OWNER, 'neighbor_labels', neighbor_labels, classes, 'identities in the classifier')
        # The histogram is never built: averaging the log-probabilities it would weigh is the same sum.
        log_probabilities = functional.log_softmax(logits, dim=1)
        own = log_probabilities.gather(1, targets[:, None]).squeeze(1)
        neighbors = log_probabilities.gather(1, neighbor_labels.long()).mean(dim=1)
        soft = (1 - soft_ratio) * own + soft_ratio * neighbors
        if text_labels is not None:
            check_sizes(_OWNER, logits=(logits, 'BC'), text_labels=(text_labels, 'BK'))
            check_indices(_OWNER, 'text_labels', text_labels, classes, 'identities in the classifier')
            by_text = log_probabilities.gather(1, text_labels.long()).mean(dim=1)
            soft = soft + text_ratio * (by_text - own)
        soft = -soft.mean()
        return (1 - soft_weight) * hard + soft_weight * soft


def _check_masses(owner: str, smoothing: float, soft_weight: float, soft_ratio: float, text_ratio: float) -> None:
    check_fraction(owner, smoothing=smoothing, soft_weight=soft_weight, soft_ratio=soft_ratio, text_ratio=text_ratio)
    if soft_ratio + text_ratio > 1:
        raise ValueError(
            f'{owner}: soft_ratio and text_ratio share one unit of mass, got {soft_ratio} + {text_ratio}; lower one.'
        )


@MODELS.register_module()
class SoftIdentityLoss(LossTerm):
    """Module form of `soft_identity_loss`, whose settings it takes; looks the neighbors' identities up itself."""

    renamed_inputs: ClassVar = {'targets': 'labels', 'bank_labels': 'bank'}
    needed_by: ClassVar = {
        'soft_weight': 'neighbors',
        'soft_ratio': 'neighbors',
        'text_ratio': 'text_neighbors',
        'text_neighbors': 'neighbors',
        'neighbors': 'bank',
        'bank': 'neighbors',
    }

    def __init__(
        self, smoothing: float = 0.1, soft_weight: float = 0.5, soft_ratio: float = 0.5, text_ratio: float = 0.0
    ) -> None:
        super().__init__()
        _check_masses(type(self).__name__, smoothing, soft_weight, soft_ratio, text_ratio)
        self.smoothing = smoothing
        self.soft_weight = soft_weight
        self.soft_ratio = soft_ratio
        self.text_ratio = text_ratio

    def forward(
        self,
        logits: Tensor,
        labels: Tensor,
        neighbors: Tensor | None = None,
        bank: BankRows | None = None,
        text_neighbors: Tensor | None = None,
    ) -> Tensor:
        """Return the loss.

        Args:
            logits: (B, C) scores.
            labels: (B,) own identities.
            neighbors: (P, B, k) rows of the memory bank, as `PartNeighborLoss` returns them.
            bank: The memory bank, which knows its rows' identities; needed with `neighbors`.
            text_neighbors: (B, K) rows of the memory bank, as `TextNeighborSearch` returns them; the mass of a missing
                one (-1) stays with the own identity.

        Raises:
            ValueError: If one of `neighbors` and `bank` came without the other, or `text_neighbors` without
                them, or one is not a row of the bank; and as `soft_identity_loss`.
        """
        owner = type(self).__name__
        neighbor_labels = text_labels = None
        if neighbors is not None and bank is not None:
            owners = check_bank(owner, bank).labels
            check_sizes(owner, targets=(labels, 'B'), neighbors=(neighbors, 'PBk'))
            check_indices(owner, 'neighbors', neighbors, len(owners), 'entries in the memory bank')
            neighbor_labels = owners[neighbors].transpose(0, 1).flatten(1)
            if text_neighbors is not None:
                check_sizes(owner, targets=(labels, 'B'), text_neighbors=(text_neighbors, 'BK'))
                rows = text_neighbors.masked_fill(text_neighbors == -1, 0)
                check_indices(owner, 'text_neighbors', rows, len(owners), 'entries in the memory bank')
                text_labels = torch.where(text_neighbors < 0, labels[:, None], owners[rows])
        elif neighbors is not None or bank is not None:
            missing = 'neighbors' if neighbors is None else 'bank'
            raise ValueError(f'{owner}: neighbors and bank come together, but {missing} is missing.')
        elif text_neighbors is not None:
            raise ValueError(f'{owner}: text_neighbors come with neighbors and bank, but those are missing.')
        return soft_identity_loss(
            logits,
            labels,
            neighbor_labels,
            smoothing=self.smoothing,
            soft_weight=self.soft_weight,
            soft_ratio=self.soft_ratio,
            text_labels=text_labels,
            text_ratio=self.text_ratio,
        )
