"""Exact retrieval scores (mAP, CMC, mINP) under the Market-1501 rule, in bounded memory.

Distances are sorted without their indices: a match's rank is found in its query's sorted row by binary search, so the
few matches of a query are all that is looked at. Equal distances rank in gallery order, as a stable sort leaves them.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from cmdg_plugin.evaluation.exact_matmul import exact_float32_matmul
from cmdg_plugin.evaluation.inputs import (
    Labels,
    Matrix,
    as_distances,
    as_two_sides,
    check_distances,
    check_positive,
    choose_device,
)
from cmdg_plugin.evaluation.matches import GalleryIndex

_CHUNK_DISTANCES = 2**23
"""Distances held at once by default (32 MiB in float32; the working set is a small multiple of it)."""


class _Scores(NamedTuple):
    mAP: float
    cmc: np.ndarray
    num_valid_queries: int


class RetrievalResult(_Scores):
    """Scores of one retrieval run, as fractions; unpacks as `mAP, cmc, num_valid_queries`.

    Attributes:
        mAP: Mean average precision over the queries that count.
        cmc: Shape (max_rank,); entry `r` is the share of those queries with a match among their first `r + 1` images.
        num_valid_queries: Queries with at least one valid match; the others do not count.
        mINP: Mean inverse negative penalty (AGW, Ye et al. 2021) over the queries that count: a query's number of
            matches divided by the rank of the last of them, which tells how far one must look to find them all.
        average_precision: Shape (Q,), of each query; NaN for those that do not count.
    """

    mINP: float
    average_precision: np.ndarray

    def __new__(
        cls, mAP: float, cmc: np.ndarray, num_valid_queries: int, mINP: float, average_precision: np.ndarray
    ) -> 'RetrievalResult':
        """Keep the two younger scores beside the tuple."""
        result = super().__new__(cls, mAP, cmc, num_valid_queries)
        result.mINP, result.average_precision = mINP, average_precision
        return result

    def __getnewargs__(self) -> tuple:
        """Let copies and pickles be made."""
        return (*self, self.mINP, self.average_precision)


def rank_retrieval(
    query_features: Matrix,
    gallery_features: Matrix,
    query_ids: Labels,
    gallery_ids: Labels,
    query_cameras: Labels,
    gallery_cameras: Labels,
    *,
    max_rank: int = 50,
    chunk_size: int | None = None,
    device: str | torch.device | None = None,
) -> RetrievalResult:
    """Rank the gallery for every query by Euclidean distance and score the result.

    Features are taken as they come: give L2-normalized ones for cosine ranking, then the same order. Beside the
    features the memory is that of a chunk of queries against the gallery, never of the whole distance matrix.

    Args:
        query_features: Shape (Q, D), finite; computed with in float32.
        gallery_features: Shape (G, D), finite.
        query_ids: Shape (Q,), integers; see `rank_distances` for the rule.
        gallery_ids: Shape (G,).
        query_cameras: Shape (Q,).
        gallery_cameras: Shape (G,).
        max_rank: Length of the CMC curve.
        chunk_size: Queries compared at once; by default as many as keep a chunk near 8 million distances.
        device: Where to compute; by default where the query features are if that is an accelerator, else the current
            GPU if there is one, else the CPU.

    Returns:
        mAP, CMC and mINP (fractions), the number of queries that count, and the average precision of each.

    Raises:
        ValueError: For shapes that do not fit, empty sets, features that are not finite, or no query with a valid
            match.
        TypeError: For ids or cameras that are not integers.
    """
    target = choose_device(query_features, device)
    with torch.no_grad(), exact_float32_matmul(target):
        query, gallery = as_two_sides(query_features, gallery_features, target)
        index = GalleryIndex(query_ids, gallery_ids, query_cameras, gallery_cameras, (len(query), len(gallery)))
        size = choose_chunk_size(chunk_size, *index.shape)
        return score_chunks(distance_chunks(query, gallery, size), index, max_rank, size)


def distance_chunks(query: Tensor, gallery: Tensor, size: int) -> Iterator[tuple[int, Tensor]]:
    """Compare some queries at a time with the gallery, in one buffer that each chunk overwrites.

    Args:
        query: Features (Q, D), float32.
        gallery: Features (G, D), float32.
        size: Queries of a chunk.

    Yields:
        The first query of a chunk, and its rows (n, G) of |q - g|^2 without |q|^2, which moves no gallery image past
        another.
    """
    squares = torch.linalg.vector_norm(gallery, dim=1).square()
    buffer = query.new_empty(size, len(gallery))
    for start in range(0, len(query), size):
        rows = query[start : start + size]
        yield start, torch.addmm(squares, rows, gallery.T, alpha=-2, out=buffer[: len(rows)])


def rank_distances(
    distance: Matrix,
    query_ids: Labels,
    gallery_ids: Labels,
    query_cameras: Labels,
    gallery_cameras: Labels,
    *,
    max_rank: int = 50,
) -> RetrievalResult:
    """Score a ready-made distance matrix under the Market-1501 rule.

    For each query the gallery images of its identity *and* camera are ignored; a query that keeps no image of its
    identity does not count. Equal distances rank in gallery order. Identities are plain integers: 0 is a person like
    any other (a distractor is simply nobody's match), and so is -1, as in torchreid: drop junk images before, as
    `ReIDMetric` does.

    Args:
        distance: Shape (Q, G), smaller is closer; infinities are allowed, NaN is not. Left unchanged.
        query_ids: Shape (Q,), integers.
        gallery_ids: Shape (G,), integers.
        query_cameras: Shape (Q,), integers, comparable with `gallery_cameras`.
        gallery_cameras: Shape (G,), integers.
        max_rank: Length of the CMC curve; after a gallery's last image the curve keeps its value.

    Returns:
        mAP, CMC and mINP (fractions), the number of queries that count, and the average precision of each.

    Raises:
        ValueError: For shapes that do not fit, an empty matrix, NaN, or no query with a valid match.
        TypeError: For ids or cameras that are not integers.
    """
    index = GalleryIndex(query_ids, gallery_ids, query_cameras, gallery_cameras, check_distances(distance))
    size = choose_chunk_size(None, *index.shape)
    chunks = ((start, as_distances(distance[start : start + size])) for start in range(0, index.shape[0], size))
    with torch.no_grad():
        return score_chunks(chunks, index, max_rank, size)


def score_chunks(
    chunks: Iterator[tuple[int, Tensor]], index: GalleryIndex, max_rank: int, size: int
) -> RetrievalResult:
    """Score distances that come in chunks of queries.

    Args:
        chunks: The first query of each chunk with its rows of distances (n, G).
        index: Which gallery images may match.
        max_rank: Length of the CMC curve.
        size: Rows of the largest chunk.

    Raises:
        ValueError: If distances hold NaN or no query has a valid match.
    """
    check_positive(max_rank, 'max_rank')
    index.require_a_valid_query()
    precisions, inverse_penalty_sum = [], 0.0
    first_hits = torch.zeros(max_rank + 1, dtype=torch.long)
    scratch = torch.empty(0)
    for start, distance in chunks:
        if distance.device.type == 'cpu' and not len(scratch):
            scratch = distance.new_empty(size, distance.shape[1])
        columns, exists, ignored = map(torch.from_numpy, index.candidates(start, start + len(distance)))
        position = _positions(distance, columns.to(distance.device), exists.to(distance.device), scratch)
        precision, inverse_penalty, first_hit = _score_queries(position.cpu(), exists & ~ignored, ignored)
        precisions.append(precision)
        inverse_penalty_sum += inverse_penalty.sum().item()
        first_hits += torch.bincount(first_hit.clamp(max=max_rank), minlength=max_rank + 1)
    valid = index.num_valid_queries
    precision = torch.cat(precisions)
    return RetrievalResult(
        mAP=precision.nansum().item() / valid,
        cmc=(first_hits[:max_rank].cumsum(0).double() / valid).numpy(),
        num_valid_queries=valid,
        mINP=inverse_penalty_sum / valid,
        average_precision=precision.numpy(),
    )


def _positions(distance: Tensor, columns: Tensor, exists: Tensor, scratch: Tensor) -> Tensor:
    """Places of candidate images in their query's whole ranked gallery; the gallery's size where there is no image."""
    candidates = distance.gather(1, columns)
    ranked = _sort_rows(distance, scratch)
    if ranked[:, -1].isnan().any():  # NaN sorts last
        raise ValueError('The distances hold NaN; check the features that they were computed from.')
    position = torch.searchsorted(ranked, candidates)
    ties = torch.searchsorted(ranked, candidates, right=True) - position
    rows, slots = ((ties > 1) & exists).nonzero(as_tuple=True)
    if len(rows):
        position[rows, slots] += _count_equals_before(distance, rows, columns[rows, slots], candidates[rows, slots])
    return position.masked_fill_(~exists, distance.shape[1])


def _sort_rows(distance: Tensor, scratch: Tensor) -> Tensor:
    if distance.device.type != 'cpu':
        return distance.sort(dim=1).values
    # NumPy sorts values alone, ten times faster on a CPU than torch, which sorts indices along.
    ranked = scratch[: len(distance)].copy_(distance)
    ranked.numpy().sort(axis=1)
    return ranked


def _count_equals_before(distance: Tensor, rows: Tensor, columns: Tensor, values: Tensor) -> Tensor:
    """How many distances equal to each given one stand in front of it in its row."""
    if distance.device.type == 'cpu':
        matrix = distance.numpy()
        places = zip(rows.tolist(), columns.tolist(), values.tolist(), strict=True)
        return torch.tensor([np.count_nonzero(matrix[row, :column] == value) for row, column, value in places])
    everywhere = torch.arange(distance.shape[1], device=distance.device)
    counts = []
    for part in torch.arange(len(rows), device=distance.device).split(max(1, _CHUNK_DISTANCES // len(everywhere))):
        equal = distance[rows[part]] == values[part, None]
        counts.append((equal & (everywhere < columns[part, None])).sum(dim=1))
    return torch.cat(counts)


def _score_queries(position: Tensor, match: Tensor, ignored: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Score each query of a chunk.

    Returns:
        Average precision, (n,); of the queries that count, the number of matches by the rank of the last one and the
        rank (from 0) of the first one.
    """
    position, order = position.sort(dim=1)
    match, ignored = match.gather(1, order), ignored.gather(1, order)
    rank = position - ignored.cumsum(1)
    found = match.cumsum(1).double()
    precision = torch.where(match, found / (rank + 1), 0.0).sum(dim=1) / found[:, -1]
    first_hit = rank.masked_fill(~match, torch.iinfo(rank.dtype).max).amin(dim=1)
    last_hit = rank.masked_fill(~match, -1).amax(dim=1)
    valid = match.any(dim=1)
    return precision, found[valid, -1] / (last_hit[valid] + 1), first_hit[valid]


def choose_chunk_size(chunk_size: int | None, num_queries: int, num_gallery: int) -> int:
    """Queries to compare at once: `chunk_size` if given, else as many as keep near 8 million distances."""
    size = max(1, _CHUNK_DISTANCES // num_gallery) if chunk_size is None else check_positive(chunk_size, 'chunk_size')
    return min(size, num_queries)
