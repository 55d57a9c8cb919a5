"""Pull each part towards its nearest entries of the memory bank (L_part)."""

import math
from dataclasses import replace
from typing import Any

import torch
from mmengine.dist import all_reduce
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from cmdg_plugin.models.losses.bank_scan import BankScan, merge_scans, scan_bank
from cmdg_plugin.models.utils import (
    check_fraction,
    check_indices,
    check_positive,
    check_sizes,
    full_precision,
    to_common_float,
)
from cmdg_plugin.registry import MODELS

_OWNER = 'part_neighbor_loss'
_SCORES_HELD_CPU = 1 << 22
_SCORES_HELD_GPU = 1 << 26
"""Scores (batch x bank rows) held at a time: 16 MB and 256 MB of float32.

Smaller chunks are no faster on an idle CPU and much slower on a busy one, where every operation waits for its threads.
"""


class _PartNeighborLoss(torch.autograd.Function):
    """The loss with its gradient worked out by hand.

    With scores `a_j = -s |m_j|^2 + 2 s f.m_j` (the distances times -s, up to `s |f|^2`, which cancels) the loss of a
    sample is `logsumexp_all(a) - logsumexp_near(a)`. Its gradient is `2 s (mean_all - mean_near)`, the means of the
    bank entries weighted by the softmax over all entries and over those it is pulled towards: `f` cancels here too, so
    the forward pass collects everything and no distance matrix outlives it.
    """

    @staticmethod
    def forward(
        ctx: Any,
        parts: Tensor,
        bank: Tensor,
        bias: Tensor,
        positions: Tensor,
        num_neighbors: int,
        scale: float,
        with_gradient: bool,
        first_row: int | None,
        text_neighbors: Tensor | None,
        text_weight: float,
    ) -> tuple[Tensor, Tensor]:
        num_parts, batch, _ = parts.shape
        held = _SCORES_HELD_CPU if parts.device.type == 'cpu' else _SCORES_HELD_GPU
        chunk_size = max(num_neighbors, held // batch)
        queries = parts * (2 * scale)
        with full_precision(parts.device):
            scan = scan_bank(
                queries,
                bank,
                bias,
                positions - (first_row or 0),
                num_neighbors,
                with_mean=with_gradient,
                chunk_size=chunk_size,
            )
            if first_row is not None:
                scan = merge_scans(scan, first_row)
        near = scan
        if text_neighbors is not None and text_weight > 0:
            near = _join(scan, text_neighbors, queries, bank, bias, positions, text_weight, first_row)
        loss = (scan.log_sum - near.top_scores.logsumexp(dim=-1)).mean()
        if scan.mean is not None:
            push = scan.mean - _pull(near, bank, first_row or 0)
            if first_row is not None:
                all_reduce(push)
            ctx.save_for_backward(push.mul_(2 * scale / (num_parts * batch)))
        ctx.mark_non_differentiable(scan.top_indices)
        return loss, scan.top_indices

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_loss: Tensor, _: Tensor | None) -> tuple[Tensor | None, ...]:
        (gradient,) = ctx.saved_tensors
        return gradient * grad_loss, *[None] * 9


def _join(
    scan: BankScan,
    others: Tensor,
    queries: Tensor,
    bank: Tensor,
    bias: Tensor,
    positions: Tensor,
    weight: float,
    first_row: int | None,
) -> BankScan:
    """Put further entries (B, K) behind the nearest ones, each with its weight, unless they are among them already."""
    places = others - (first_row or 0)
    elsewhere = (places < 0) | (places >= len(bank))
    rows = places.clamp(0, len(bank) - 1)
    entries = bank[rows].to(queries.dtype)
    scores = torch.einsum('pbd,bkpd->pbk', queries, entries) + bias[:, rows]
    if first_row is not None:
        # One rank has the entry, the others add nothing.
        scores.masked_fill_(elsewhere, 0)
        all_reduce(scores)
        elsewhere = others < 0
    known = (scan.top_indices[:, :, None, :] == others[..., None]).any(dim=-1)
    left_out = known | elsewhere | (others == positions[:, None])
    scores = (scores + math.log(weight)).masked_fill(left_out, -torch.inf)
    return replace(
        scan,
        top_scores=torch.cat([scan.top_scores, scores], dim=-1),
        top_indices=torch.cat([scan.top_indices, others.expand_as(scores)], dim=-1),
    )


def _pull(scan: BankScan, bank: Tensor, first_row: int) -> Tensor:
    """Mean (P, B, D) of the nearest entries, weighted by their softmax; of those alone that stand in these rows."""
    rows = scan.top_indices - first_row
    weights = scan.top_scores.softmax(dim=-1).masked_fill((rows < 0) | (rows >= len(bank)), 0)
    which = torch.arange(len(rows), device=rows.device)[:, None, None]
    nearest = bank[rows.clamp(0, len(bank) - 1), which].to(weights.dtype)
    return (weights[..., None] * nearest).sum(dim=2)


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
    if text_neighbors is not None:
        check_sizes(_OWNER, positions=(positions, 'B'), text_neighbors=(text_neighbors, 'BK'))
        if first_row is None:
            check_indices(
                _OWNER, 'text_neighbors + 1', text_neighbors + 1, entries + 1, 'entries in the bank, and none'
            )
    if first_row is None:
        check_indices(_OWNER, 'positions', positions, entries, 'entries in the bank')
    _check_neighbors(num_neighbors, entries, positions, valid, whole=first_row is None)
    bank = bank.detach()
    (parts,) = to_common_float(parts)
    if bank_norms is None:
        bank_norms = squared_norms(bank)
    check_sizes(_OWNER, bank=(bank, 'NPD'), bank_norms=(bank_norms, 'NP'))
    bias = bank_norms.detach().T.to(parts.dtype).contiguous() * -scale
    if valid is not None:
        bias = bias.masked_fill(~valid, -torch.inf)
    with_gradient = torch.is_grad_enabled() and parts.requires_grad
    return _PartNeighborLoss.apply(
        parts,
        bank,
        bias,
        positions.long(),
        num_neighbors,
        scale,
        with_gradient,
        first_row,
        text_neighbors,
        text_weight,
    )


def squared_norms(bank: Tensor) -> Tensor:
    """Squared Euclidean norms (N, P) of (N, P, D) bank entries, in float32 at least."""
    dtype = torch.promote_types(bank.dtype, torch.float32)
    return torch.linalg.vector_norm(bank, dim=-1, dtype=dtype).square_()


def _check_neighbors(num_neighbors: int, entries: int, positions: Tensor, valid: Tensor | None, whole: bool) -> None:
    if num_neighbors < 1:
        raise ValueError(f'{_OWNER}: num_neighbors must be at least 1, got {num_neighbors}')
    others = entries - 1
    if valid is not None:
        check_sizes(_OWNER, valid=(valid, 'N'))
        if valid.dtype != torch.bool or len(valid) != entries:
            raise ValueError(
                f'{_OWNER}: valid must be bool of shape ({entries},), got {valid.dtype} of shape {tuple(valid.shape)}'
            )
        # Counting on a GPU would make the step wait; there, missing neighbors add nothing to the loss.
        if whole and valid.device.type == 'cpu':
            others = int(valid.sum()) - int(valid[positions.long()].any())
    if whole and num_neighbors > others:
        raise ValueError(
            f'{_OWNER}: num_neighbors is {num_neighbors}, but the bank holds only {others} (filled) entries besides a '
            "sample's own; train on more images or lower num_neighbors"
        )


@MODELS.register_module()
class PartNeighborLoss(nn.Module):
    """Module form of `part_neighbor_loss`.

    Args:
        num_neighbors: How many nearest entries of the bank a sample is pulled towards, at least 1.
        scale: Factor on the squared distances, above 0.
        text_weight: Weight of entries found by their captions, in [0, 1].
    """

    def __init__(self, num_neighbors: int = 10, scale: float = 0.02, text_weight: float = 1.0) -> None:
        super().__init__()
        check_positive(type(self).__name__, num_neighbors=num_neighbors, scale=scale)
        check_fraction(type(self).__name__, text_weight=text_weight)
        self.num_neighbors = num_neighbors
        self.scale = scale
        self.text_weight = text_weight

    def forward(
        self,
        parts: Tensor,
        bank: Tensor,
        positions: Tensor,
        valid: Tensor | None = None,
        bank_norms: Tensor | None = None,
        first_row: int | None = None,
        text_neighbors: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return the loss and the (P, B, k) neighbors; arguments as `part_neighbor_loss` has them."""
        return part_neighbor_loss(
            parts,
            bank,
            positions,
            num_neighbors=self.num_neighbors,
            scale=self.scale,
            valid=valid,
            bank_norms=bank_norms,
            first_row=first_row,
            text_neighbors=text_neighbors,
            text_weight=self.text_weight,
        )
