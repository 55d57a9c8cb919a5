"""How strongly each part is pulled towards its neighbors, with the gradient worked out by hand."""

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from mmengine.dist import all_reduce
from torch import Tensor
from torch.autograd.function import once_differentiable

from cmdg_plugin.models.losses.bank_scan import BankScan, merge_scans, scan_bank
from cmdg_plugin.models.utils import full_precision

_SCORES_HELD_CPU = 1 << 22
_SCORES_HELD_GPU = 1 << 26
"""Scores (batch x bank rows) held at a time: 16 MB and 256 MB of float32.

Smaller chunks are no faster on an idle CPU and much slower on a busy one, where every operation waits for its threads.
"""


@dataclass(frozen=True)
class Search:
    """What a batch is compared with and how, for P parts and B samples; see `part_neighbor_loss`.

    Attributes:
        bank: The rows that this process searches, (N, P, D).
        bias: What each row's score has beside the product with the sample, (P, N); -inf for rows to pass over.
        positions: Each sample's own row in the whole bank, (B,).
        num_neighbors: How many of the nearest entries a sample is pulled towards.
        scale: Factor on the squared distances.
        first_row: Where these rows begin in the whole bank; None if they are all.
        text_neighbors: Further entries of the whole bank, (B, K), -1 for none.
        text_weight: Weight of those.
    """

    bank: Tensor
    bias: Tensor
    positions: Tensor
    num_neighbors: int
    scale: float
    first_row: int | None
    text_neighbors: Tensor | None
    text_weight: float


class NeighborPull(torch.autograd.Function):
    """The loss with its gradient worked out by hand.

    With scores `a_j = -s |m_j|^2 + 2 s f.m_j` (the distances times -s, up to `s |f|^2`, which cancels) the loss of a
    sample is `logsumexp_all(a) - logsumexp_near(a)`. Its gradient is `2 s (mean_all - mean_near)`, the means of the
    bank entries weighted by the softmax over all entries and over those it is pulled towards: `f` cancels here too, so
    the forward pass collects everything and no distance matrix outlives it.
    """

    @staticmethod
    def forward(ctx: Any, parts: Tensor, search: Search, with_gradient: bool) -> tuple[Tensor, Tensor]:
        """Return the loss and the neighbors of (P, B, D) parts."""
        num_parts, batch, _ = parts.shape
        first = search.first_row or 0
        held = _SCORES_HELD_CPU if parts.device.type == 'cpu' else _SCORES_HELD_GPU
        k = search.num_neighbors
        chunk = max(k, held // batch)
        queries, own = parts * (2 * search.scale), search.positions - first
        with full_precision(parts.device):
            scan = scan_bank(queries, search.bank, search.bias, own, k, with_mean=with_gradient, chunk_size=chunk)
            if search.first_row is not None:
                scan = merge_scans(scan, first)
        near = scan
        if search.text_neighbors is not None and search.text_weight > 0:
            near = _join(scan, search, search.text_neighbors, queries)
        loss = (scan.log_sum - near.top_scores.logsumexp(dim=-1)).mean()
        if scan.mean is not None:
            push = scan.mean - _pull(near, search.bank, first)
            if search.first_row is not None:
                all_reduce(push)
            ctx.save_for_backward(push.mul_(2 * search.scale / (num_parts * batch)))
        ctx.mark_non_differentiable(scan.top_indices)
        return loss, scan.top_indices

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_loss: Tensor, _: Tensor | None) -> tuple[Tensor | None, ...]:
        """Scale the gradient that the forward pass has worked out."""
        (gradient,) = ctx.saved_tensors
        return gradient * grad_loss, None, None


def _join(scan: BankScan, search: Search, others: Tensor, queries: Tensor) -> BankScan:
    """Put further entries (B, K) after the nearest ones, each with its weight, unless they are among them already."""
    places = others - (search.first_row or 0)
    elsewhere = (places < 0) | (places >= len(search.bank))
    rows = places.clamp(0, len(search.bank) - 1)
    entries = search.bank[rows].to(queries.dtype)
    scores = torch.einsum('pbd,bkpd->pbk', queries, entries) + search.bias[:, rows]
    if search.first_row is not None:
        # One rank has the entry, the others add nothing.
        scores.masked_fill_(elsewhere, 0)
        all_reduce(scores)
        elsewhere = others < 0
    # Where there are fewer neighbors than asked for, rows without a score fill their places.
    found = scan.top_scores.isfinite()[:, :, None, :]
    known = (found & (scan.top_indices[:, :, None, :] == others[..., None])).any(dim=-1)
    left_out = known | elsewhere | (others == search.positions[:, None])
    scores = (scores + math.log(search.text_weight)).masked_fill(left_out, -torch.inf)
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
