"""k-reciprocal re-ranking (Zhong et al., CVPR 2017) in bounded memory.

An image is described by its k-reciprocal neighbors; images that share many of them move together in the ranking. The
descriptions are sparse, and distances exist a chunk at a time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from cmdg_plugin.evaluation.exact_matmul import exact_float32_matmul
from cmdg_plugin.evaluation.inputs import Labels, Matrix, as_two_sides, check_positive, choose_device
from cmdg_plugin.evaluation.matches import GalleryIndex
from cmdg_plugin.evaluation.ranking import RetrievalResult, choose_chunk_size, score_chunks
from cmdg_plugin.evaluation.reciprocal_neighbors import (
    nearest_neighbors,
    reciprocal_sets,
    relation,
    squared_distances,
    weigh_members,
)

if TYPE_CHECKING:
    from scipy.sparse import csr_array


@dataclass(frozen=True)
class Reranking:
    """Settings of k-reciprocal re-ranking, by default those of the paper.

    Args:
        k1: Neighbors that must be mutual.
        k2: Neighbors whose descriptions are averaged; 1 for none.
        lambda_value: Share of the original distance in the final one, in [0, 1].
        power: Power of the Euclidean distance. The paper and its authors' code take the square; torchreid's engine
            hands squared distances to a function that squares them, which `power=4` reproduces.

    Raises:
        ValueError: If a number is out of its range.
    """

    k1: int = 20
    k2: int = 6
    lambda_value: float = 0.3
    power: int = 2

    def __post_init__(self) -> None:
        for name in ('k1', 'k2', 'power'):
            check_positive(getattr(self, name), name)
        if not 0 <= self.lambda_value <= 1:
            raise ValueError(f'lambda_value must lie between 0 and 1, got {self.lambda_value}.')


def rerank_distances(
    query_features: Matrix,
    gallery_features: Matrix,
    settings: Reranking | None = None,
    *,
    device: str | torch.device | None = None,
) -> np.ndarray:
    """Compute the re-ranked distances of all queries to all gallery images.

    For `settings.power = 2` equal to torchreid's `re_ranking` given Euclidean distances (not squared ones). The result
    is the largest thing in memory; `rank_reranked` scores without it.

    Args:
        query_features: Shape (Q, D), finite; L2-normalized ones by custom.
        gallery_features: Shape (G, D), finite.
        settings: See `Reranking`.
        device: Where to compute distances; by default as `rank_retrieval` chooses.

    Returns:
        Shape (Q, G), float32, smaller is closer.

    Raises:
        ValueError: For features that do not fit each other or are not finite.
    """
    target = choose_device(query_features, device)
    with torch.no_grad(), exact_float32_matmul(target):
        encoding = _Encoding(query_features, gallery_features, settings or Reranking(), target)
        distance = np.empty((encoding.num_queries, encoding.num_gallery), np.float32)
        size = choose_chunk_size(None, *distance.shape)
        for start, rows in encoding.chunks(size):
            distance[start : start + size] = rows.cpu()
    return distance


def rank_reranked(
    query_features: Matrix,
    gallery_features: Matrix,
    query_ids: Labels,
    gallery_ids: Labels,
    query_cameras: Labels,
    gallery_cameras: Labels,
    *,
    settings: Reranking | None = None,
    max_rank: int = 50,
    chunk_size: int | None = None,
    device: str | torch.device | None = None,
) -> RetrievalResult:
    """Rank and score as `rank_retrieval` does, by re-ranked distances; see there for arguments and errors.

    Beside the features the memory is that of the neighbors' sparse codes, some hundred numbers per image, and of chunks
    of distances. The time is that of the distances between all images, queries and gallery alike.
    """
    target = choose_device(query_features, device)
    with torch.no_grad(), exact_float32_matmul(target):
        shape = len(query_features), len(gallery_features)
        index = GalleryIndex(query_ids, gallery_ids, query_cameras, gallery_cameras, shape)
        index.require_a_valid_query()
        encoding = _Encoding(query_features, gallery_features, settings or Reranking(), target)
        size = choose_chunk_size(chunk_size, *shape)
        return score_chunks(encoding.chunks(size), index, max_rank, size)


class _Encoding:
    """Every image described by its k-reciprocal neighbors."""

    def __init__(self, query: Matrix, gallery: Matrix, settings: Reranking, device: torch.device) -> None:
        self.query, self.gallery = as_two_sides(query, gallery, device)
        self.num_queries, self.num_gallery = len(self.query), len(self.gallery)
        self.settings = settings
        codes = self._encode(torch.cat([self.query, self.gallery]))
        self.codes = codes[: self.num_queries]
        # Row by row the gallery images that have an image among their neighbors.
        self.inverted = codes[self.num_queries :].T.tocsr()

    def _encode(self, features: Tensor) -> 'csr_array':
        k1, k2 = self.settings.k1, self.settings.k2
        neighbors, farthest = nearest_neighbors(features, min(max(k1 + 1, k2), len(features)))
        # Where all images are one and the same, every distance is 0 whatever it is divided by.
        self.farthest = np.where(farthest > 0, farthest, 1)
        members = reciprocal_sets(neighbors, k1)
        codes = weigh_members(members, features, self.farthest, self.settings.power)
        averaged = relation(neighbors, k2)
        averaged.data /= min(k2, len(features))
        return (averaged @ codes).tocsr()

    def chunks(self, size: int) -> Iterator[tuple[int, Tensor]]:
        """Yield the first of some queries at a time, and their final distances to the gallery, (n, G)."""
        for start in range(0, self.num_queries, size):
            yield start, self._distances(start, start + size)

    def _distances(self, start: int, stop: int) -> Tensor:
        share = self.settings.lambda_value
        distance = squared_distances(self.query[start:stop], self.gallery)
        distance /= torch.from_numpy(self.farthest[: self.num_queries][start:stop, None]).to(distance.device)
        distance.pow_(self.settings.power / 2)
        jaccard = torch.from_numpy(self._jaccard(self.codes[start:stop])).to(distance.device)
        return jaccard.mul_(1 - share).add_(distance, alpha=share)

    def _jaccard(self, codes: 'csr_array') -> np.ndarray:
        shared = np.empty((codes.shape[0], self.num_gallery), np.float32)
        for row, (first, last) in enumerate(zip(codes.indptr[:-1], codes.indptr[1:], strict=True)):
            entries = self.inverted[codes.indices[first:last]]
            own = np.repeat(codes.data[first:last], np.diff(entries.indptr))
            shared[row] = np.bincount(entries.indices, np.minimum(entries.data, own), minlength=self.num_gallery)
        # Weights of an image sum to 1, so that the larger of two weights sum to 2 less the smaller ones.
        return 1 - shared / (2 - shared)
