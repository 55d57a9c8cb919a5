"""One pass over a memory bank: nearest entries, log-sum-exp of all, and their softmax-weighted mean."""

from dataclasses import dataclass

import torch
from torch import Tensor

_BLOCK = 64
"""Scores a block holds when the k largest are sought block-wise."""


@dataclass(frozen=True)
class BankScan:
    """What a pass over the bank leaves, for P parts and B samples.

    Attributes:
        top_scores: (P, B, k) largest scores, descending.
        top_indices: (P, B, k) bank rows of these.
        log_sum: (P, B) logarithm of the sum of the exponentials of all scores.
        mean: (P, B, D) mean of the bank entries, weighted by the softmax over all scores; None if not asked for.
    """

    top_scores: Tensor
    top_indices: Tensor
    log_sum: Tensor
    mean: Tensor | None


def _top_scores(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Exact top k of the last dimension of (P, B, N) scores.

    The k largest numbers lie in the k blocks whose maxima are largest, so a cheap pass of maxima leaves few candidates
    for `topk`, whose selection is slow on long rows.
    """
    width = scores.shape[-1]
    blocks = width // _BLOCK
    if blocks <= 4 * k:
        top = scores.topk(k, dim=-1)
        return top.values, top.indices
    # Column c belongs to block c % blocks: maxima over the outer dimension are vectorized along the inner one.
    body = scores[..., : blocks * _BLOCK].unflatten(-1, (_BLOCK, blocks))
    chosen = body.amax(dim=-2).topk(k, dim=-1).indices
    offsets = torch.arange(0, blocks * _BLOCK, blocks, device=scores.device)
    tail = torch.arange(blocks * _BLOCK, width, device=scores.device).expand(*scores.shape[:-1], -1)
    candidates = torch.cat([(chosen[..., None] + offsets).flatten(-2), tail], dim=-1)
    top = scores.gather(-1, candidates).topk(k, dim=-1)
    return top.values, candidates.gather(-1, top.indices)


def _hide_own(scores: Tensor, positions: Tensor, start: int) -> None:
    """Set each sample's score against its own bank entry to -inf, in (P, B, C) scores of rows start..start+C-1."""
    column = positions - start
    inside = (column >= 0) & (column < scores.shape[-1])
    # Chosen by arithmetic, not by a boolean index, whose size a GPU would have to report first.
    column = column.clamp(0, scores.shape[-1] - 1).expand(scores.shape[0], -1)[..., None]
    scores.scatter_(-1, column, scores.gather(-1, column).masked_fill_(inside[None, :, None], -torch.inf))


def scan_bank(
    queries: Tensor,
    bank: Tensor,
    bias: Tensor,
    positions: Tensor,
    k: int,
    *,
    with_mean: bool,
    chunk_size: int,
) -> BankScan:
    """Score every bank entry against every query and reduce, chunk by chunk, so that any bank fits.

    The score of query `q` and entry `m` is `q . m + bias`; an entry with bias -inf is passed over, and so is the entry
    in a sample's own position. The sums are rescaled to the running maximum as it grows (online softmax, Milakov and
    Gimelshein 2018), so nothing overflows and each chunk is visited once.

    Args:
        queries: (P, B, D), float32 or float64.
        bank: (N, P, D), any floating-point type.
        bias: (N, P), the queries' type.
        positions: (B,) each sample's own row, 0..N-1.
        k: How many of the largest scores to keep, at most N.
        with_mean: Whether the weighted mean is wanted; it costs a second matrix product.
        chunk_size: Bank rows per chunk.

    Returns:
        The reductions.
    """
    parts, batch, _ = queries.shape
    peak = queries.new_full((parts, batch, 1), torch.finfo(queries.dtype).min)
    total = queries.new_zeros(parts, batch, 1)
    mean = torch.zeros_like(queries) if with_mean else None
    tops: list[tuple[Tensor, Tensor]] = []
    for start in range(0, len(bank), chunk_size):
        entries = bank[start : start + chunk_size].to(queries.dtype).transpose(0, 1)
        scores = torch.baddbmm(bias[start : start + chunk_size].T[:, None], queries, entries.mT)
        _hide_own(scores, positions, start)
        top, where = _top_scores(scores, min(k, scores.shape[-1]))
        tops.append((top, where + start))
        new_peak = torch.maximum(peak, top[..., :1])
        rescale = (peak - new_peak).exp_()
        weights = scores.sub_(new_peak).exp_()
        total = total.mul_(rescale).add_(weights.sum(dim=-1, keepdim=True))
        if mean is not None:
            mean = mean.mul_(rescale).baddbmm_(weights, entries)
        peak = new_peak
    scores, where = (torch.cat(pieces, dim=-1) for pieces in zip(*tops, strict=True))
    best = scores.topk(k, dim=-1)
    return BankScan(
        top_scores=best.values,
        top_indices=where.gather(-1, best.indices),
        log_sum=(total.log() + peak).squeeze(-1),
        mean=None if mean is None else mean.div_(total),
    )
