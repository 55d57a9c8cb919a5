"""Pull each part towards its nearest entries of the memory bank (L_part)."""

from typing import ClassVar

import torch
from torch import Tensor

from cmdg_plugin.models.losses.base import LossTerm
from cmdg_plugin.models.losses.neighbor_pull import NeighborPull, Search
from cmdg_plugin.models.memory import BankRows, check_bank
from cmdg_plugin.models.training_images import DataSizes
from cmdg_plugin.models.utils import (
    check_count,
    check_fraction,
    check_indices,
    check_mask,
    check_positive,
    check_sizes,
    to_common_float,
    wide_norms,
)
from cmdg_plugin.registry import MODELS

_OWNER = 'part_neighbor_loss'


def part_neighbor_loss(
    parts: Tensor,
    bank: Tensor,
    positions: Tensor,
    *,
    num_neighbors: int = 10,
    scale: float = 0.02,
    valid: Tensor | None = None,
    bank_norms: Tensor | None = None,
    first_row: int | None = None,
    text_neighbors: Tensor | None = None,
    text_weight: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Negative log share of the k nearest bank entries among all, per part.

    With squared Euclidean distances `d` from a sample to all bank entries but its own:
    `-log(sum_nearest exp(-scale d) / sum_all exp(-scale d))`, mean over batch and parts. Features are not normalized.
    The bank is constant: no gradient reaches it. Half-precision inputs are computed in float32, also under autocast.
    Among equally near entries, which one counts as a neighbor is unspecified but the same in every run.

    Entries found by their captions may join the numerator, `sum_nearest exp(-scale d) + text_weight * sum_text
    exp(-scale d)`; one that is among the nearest already counts once, and fully.

    Source: CMDG, part-aware inter-ID domain bridging (L_part); text-guided bridging as in the paper's figure.

    Args:
        parts: (P, B, D) part features of the batch.
        bank: (N, P, D) memory of all training images; read in chunks, never copied whole.
        positions: (B,) each sample's own row in the bank, 0..N-1; that row is never its neighbor.
        num_neighbors: k, at least 1 and at most the number of other (valid) entries.
        scale: Factor on the squared distances, above 0.
        valid: (N,) bool, False for entries not filled yet; those are passed over.
        bank_norms: (N, P) squared norms of the bank entries, if the caller keeps them; computed here otherwise.
        first_row: Where several processes search a bank together: `bank`, `valid` and `bank_norms` are this one's rows,
            which begin here in the whole bank, while `parts` and `positions` are the same everywhere. Every process
            gets the loss, gradient and neighbors of the whole bank. None if `bank` is whole.
        text_neighbors: (B, K) rows of the whole bank that every part of a sample is pulled towards as well, -1 for
            none, no row twice for a sample.
        text_weight: Weight of those, in [0, 1].

    Returns:
        Scalar loss (float32 or float64) and (P, B, k) bank rows of the neighbors, nearest first.

    Raises:
        ValueError: If shapes disagree, the scale is not above 0, k or the weight is out of range, or (checked on the
            CPU) a position is out of range or fewer than k valid entries are left for a sample.
    """
    entries = check_sizes(_OWNER, parts=(parts, 'PBD'), bank=(bank, 'NPD'), positions=(positions, 'B'))['N']
    check_positive(_OWNER, scale=scale)
    check_fraction(_OWNER, text_weight=text_weight)
    check_count(_OWNER, num_neighbors=num_neighbors)
    if valid is not None:
        check_mask(_OWNER, 'valid', valid, entries)
    if text_neighbors is not None:
        check_sizes(_OWNER, positions=(positions, 'B'), text_neighbors=(text_neighbors, 'BK'))
    if first_row is None:
        check_indices(_OWNER, 'positions', positions, entries, 'entries in the bank')
        if text_neighbors is not None:
            # -1 stands for none.
            rows = text_neighbors.masked_fill(text_neighbors == -1, 0)
            check_indices(_OWNER, 'text_neighbors', rows, entries, 'entries in the bank')
        _check_enough(num_neighbors, _count_others(entries, positions, valid))
    bank = bank.detach()
    (parts,) = to_common_float(parts)
    if bank_norms is None:
        bank_norms = wide_norms(bank).square_()
    check_sizes(_OWNER, bank=(bank, 'NPD'), bank_norms=(bank_norms, 'NP'))
    bias = bank_norms.detach().T.to(parts.dtype).contiguous() * -scale
    if valid is not None:
        bias = bias.masked_fill(~valid, -torch.inf)
    search = Search(bank, bias, positions.long(), num_neighbors, scale, first_row, text_neighbors, text_weight)
    return NeighborPull.apply(parts, search, torch.is_grad_enabled() and parts.requires_grad)


def _count_others(entries: int, positions: Tensor, valid: Tensor | None) -> int:
    """Entries that every sample of a batch may find besides its own."""
    if valid is None or valid.device.type != 'cpu':
        # Counting on a GPU would make the step wait; there, missing neighbors add nothing to the loss.
        return entries - 1
    return int(valid.sum()) - int(valid[positions.long()].any())


def _check_enough(num_neighbors: int, others: int) -> None:
    if num_neighbors > others:
        raise ValueError(
            f'{_OWNER}: num_neighbors is {num_neighbors}, but the bank holds only {others} (filled) entries besides a '
            "sample's own; train on more images or lower num_neighbors."
        )


@MODELS.register_module()
class PartNeighborLoss(LossTerm):
    """Module form of `part_neighbor_loss`, whose settings it takes."""

    needed_by: ClassVar = {'text_weight': 'text_neighbors'}
    renamed_inputs: ClassVar = {'positions': 'image_index', 'valid': None, 'bank_norms': None, 'first_row': None}

    def __init__(self, num_neighbors: int = 10, scale: float = 0.02, text_weight: float = 1.0) -> None:
        super().__init__()
        check_count(type(self).__name__, num_neighbors=num_neighbors)
        check_positive(type(self).__name__, scale=scale)
        check_fraction(type(self).__name__, text_weight=text_weight)
        self.num_neighbors = num_neighbors
        self.scale = scale
        self.text_weight = text_weight

    def check_data(self, sizes: DataSizes) -> None:
        """Check that there are enough neighbors; see the base class."""
        _check_enough(self.num_neighbors, sizes.num_samples - 1)

    def forward(
        self,
        parts: Tensor,
        bank: BankRows,
        image_index: Tensor,
        text_neighbors: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return the loss and the (P, B, k) neighbors.

        Args:
            parts: (P, B, D) part features of the batch.
            bank: The rows that this process searches.
            image_index: (B,) each sample's own row in the whole bank.
            text_neighbors: (B, K) rows of the whole bank, as `TextNeighborSearch` returns them.
        """
        check_bank(type(self).__name__, bank)
        return part_neighbor_loss(
            parts,
            bank.image,
            image_index,
            num_neighbors=self.num_neighbors,
            scale=self.scale,
            valid=bank.filled,
            bank_norms=bank.norms,
            first_row=bank.first_row,
            text_neighbors=text_neighbors,
            text_weight=self.text_weight,
        )
