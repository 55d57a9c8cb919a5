"""What the log says about the neighbors that bridging finds."""

from typing import ClassVar

import torch
from torch import Tensor

from cmdg_plugin.models.losses.base import LossTerm
from cmdg_plugin.models.memory import BankRows, check_bank
from cmdg_plugin.registry import MODELS


@torch.no_grad()
def describe_neighbors(
    neighbors: Tensor,
    labels: Tensor,
    domains: Tensor,
    bank_labels: Tensor,
    bank_domains: Tensor,
    text_neighbors: Tensor | None = None,
) -> dict[str, Tensor]:
    """Compare the neighbors found by looks and by captions with each other and with the samples.

    Args:
        neighbors: (P, B, k) bank rows of the nearest parts.
        labels: (B,) identities of the samples.
        domains: (B,) domains of the samples.
        bank_labels: (N,) identities of the bank's rows.
        bank_domains: (N,) domains of the bank's rows.
        text_neighbors: (B, K) bank rows of the most similar captions, -1 for none; None if there are none yet.

    Returns:
        Shares in [0, 1]: of the visual neighbors, `visual_same_identity` and `visual_cross_domain`; of the text
        neighbors, the same two (0 and 1 unless something is wrong) and `agreement`, those that are also among the
        visual neighbors of a part.
    """
    shares = {
        'visual_same_identity': (bank_labels[neighbors] == labels[:, None]).float().mean(),
        'visual_cross_domain': (bank_domains[neighbors] != domains[:, None]).float().mean(),
    }
    if text_neighbors is None:
        return shares
    found = text_neighbors >= 0
    number = found.sum().clamp_min(1)
    rows = text_neighbors.clamp_min(0)
    visual = neighbors.transpose(0, 1).flatten(1)
    seen = (text_neighbors[:, :, None] == visual[:, None, :]).any(dim=-1)
    return shares | {
        'text_same_identity': ((bank_labels[rows] == labels[:, None]) & found).sum() / number,
        'text_cross_domain': ((bank_domains[rows] != domains[:, None]) & found).sum() / number,
        'agreement': seen.sum() / number,
    }


@MODELS.register_module()
class NeighborDiagnostics(LossTerm):
    """Module form of `describe_neighbors`, for the list of a stage's terms; its shares go to the log."""

    has_loss = False
    renamed_inputs: ClassVar = {'bank_labels': 'bank', 'bank_domains': None}

    def forward(
        self, neighbors: Tensor, labels: Tensor, domains: Tensor, bank: BankRows, text_neighbors: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Return the shares; arguments as `describe_neighbors` has them, the bank knows its rows' owners."""
        check_bank(type(self).__name__, bank)
        return describe_neighbors(neighbors, labels, domains, bank.labels, bank.domains, text_neighbors)
