"""One pass over a memory bank: nearest entries, log-sum-exp of all, and their softmax-weighted mean."""

from dataclasses import dataclass
from math import isqrt

import torch
from mmengine.dist import all_gather
from torch import Tensor
from torch.nn import functional


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
    in a sample's own position.

    Args:
        queries: (P, B, D), float32 or float64.
        bank: (N, P, D), any floating-point type.
        bias: (P, N), the queries' type.
        positions: (B,) each sample's own row, 0..N-1.
        k: How many of the largest scores to keep; where the bank has fewer rows, scores of -inf fill up.
        with_mean: Whether the weighted mean is wanted; it costs a second matrix product.
        chunk_size: Bank rows per chunk.

    Returns:
        The reductions.
    """
    # One buffer for all scores: fresh memory for every chunk costs a CPU more than the arithmetic on it.
    buffer = queries.new_empty(queries.shape[1], min(chunk_size, len(bank)))
    # Part by part: plain matrix products take the bank's strides as they are, batched ones are half as fast on CPUs.
    scans = [
        _scan_part(query, bank[:, part], bias[part], positions, k, with_mean, buffer)
        for part, query in enumerate(queries)
    ]
    top_scores, top_indices, log_sum, mean = zip(*scans, strict=True)
    return BankScan(
        torch.stack(top_scores),
        torch.stack(top_indices),
        torch.stack(log_sum),
        torch.stack(mean) if with_mean else None,
    )


def merge_scans(scan: BankScan, first_row: int) -> BankScan:
    """Combine what every rank found in its own rows of one bank.

    Args:
        scan: What this rank found; its indices count from its own first row.
        first_row: Number of that row in the whole bank.

    Returns:
        Top scores with rows of the whole bank and the log-sum, the same on every rank; `mean` is this rank's summand of
        the mean, which is their sum over ranks.
    """
    scores = torch.cat(all_gather(scan.top_scores), dim=-1)
    rows = torch.cat(all_gather(scan.top_indices + first_row), dim=-1)
    best = scores.topk(scan.top_scores.shape[-1], dim=-1)
    log_sum = torch.stack(all_gather(scan.log_sum)).logsumexp(dim=0)
    mean = None if scan.mean is None else scan.mean * (scan.log_sum - log_sum).exp()[..., None]
    return BankScan(best.values, rows.gather(-1, best.indices), log_sum, mean)


def _scan_part(
    query: Tensor, bank: Tensor, bias: Tensor, positions: Tensor, k: int, with_mean: bool, buffer: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Scan one part: (B, D) queries, (N, D) bank, (N,) bias, scores in the (B, chunk) buffer.

    The sums are rescaled to the running maximum as it grows (online softmax, Milakov and Gimelshein 2018), so nothing
    overflows and each chunk is visited once, while it is in the cache.
    """
    peak = query.new_full((len(query), 1), torch.finfo(query.dtype).min)
    total = torch.zeros_like(peak)
    mean: Tensor | None = torch.zeros_like(query) if with_mean else None
    tops = []
    for start in range(0, len(bank), buffer.shape[1]):
        entries = bank[start : start + buffer.shape[1]].to(query.dtype)
        scores = buffer[:, : len(entries)]
        torch.addmm(bias[start : start + len(entries)], query, entries.T, out=scores)
        _hide_own(scores, positions - start)
        top, where = top_scores(scores, min(k, len(entries)))
        tops.append((top, where + start))
        new_peak = torch.maximum(peak, top[:, :1])
        rescale = (peak - new_peak).exp_()
        weights = scores.sub_(new_peak).exp_()
        total = total.mul_(rescale).add_(weights.sum(dim=1, keepdim=True))
        if mean is not None:
            mean.mul_(rescale).addmm_(weights, entries)
        peak = new_peak
    top, where = (torch.cat(pieces, dim=1) for pieces in zip(*tops, strict=True))
    if top.shape[1] < k:
        top = functional.pad(top, (0, k - top.shape[1]), value=-torch.inf)
        where = functional.pad(where, (0, k - where.shape[1]))
    best = top.topk(k, dim=1)
    log_sum = (total.log() + peak).squeeze(1)
    # A rank whose rows are all passed over has a total of 0 and no say in the mean.
    if mean is not None:
        mean.div_(total.clamp_min_(torch.finfo(total.dtype).tiny))
    return best.values, where.gather(1, best.indices), log_sum, mean


def _hide_own(scores: Tensor, columns: Tensor) -> None:
    """Set each row's score in its own column to -inf; columns outside the (B, C) scores are left out."""
    inside = (columns >= 0) & (columns < scores.shape[1])
    # Chosen by arithmetic, not by a boolean index, whose size a GPU would have to report first.
    columns = columns.clamp(0, scores.shape[1] - 1)[:, None]
    scores.scatter_(1, columns, scores.gather(1, columns).masked_fill_(inside[:, None], -torch.inf))


def top_scores(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Exact top k of each row of (B, C) scores, descending, with their columns.

    The k largest numbers lie in the k blocks whose maxima are largest, so a cheap pass of maxima leaves few candidates
    for `topk`, whose selection is slow on long rows.
    """
    width = scores.shape[1]
    size = isqrt(width // k)  # about as many blocks to choose from as candidates they leave
    if size < 4:
        top = scores.topk(k, dim=1)
        return top.values, top.indices
    count = width // size
    # Column c belongs to block c % count: maxima over the outer dimension are vectorized along the inner one.
    chosen = scores[:, : size * count].unflatten(1, (size, count)).amax(dim=1).topk(k, dim=1).indices
    offsets = torch.arange(0, size * count, count, device=scores.device)
    rest = torch.arange(size * count, width, device=scores.device).expand(len(scores), -1)
    candidates = torch.cat([(chosen[:, :, None] + offsets).flatten(1), rest], dim=1)
    top = scores.gather(1, candidates).topk(k, dim=1)
    return top.values, candidates.gather(1, top.indices)
