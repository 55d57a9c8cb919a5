"""What some queries of a target found, for pictures."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cmdg_plugin.datasets.evaluation_set import EvaluationTarget
from cmdg_plugin.evaluation.exact_matmul import exact_float32_matmul
from cmdg_plugin.evaluation.matches import GalleryIndex
from cmdg_plugin.evaluation.target_scores import effective_cameras, split_rows, take_rows


@dataclass(frozen=True)
class RankedQuery:
    """A query and the gallery images nearest to it, images that the same-camera rule ignores left out.

    Attributes:
        target: Name of the benchmark.
        query_path: File of the query image.
        captions: Its four sentences in region order, or None.
        gallery_paths: Files of the nearest gallery images, nearest first.
        matches: Whether each of them shows the query's person.
    """

    target: str
    query_path: str
    captions: tuple[str, ...] | None
    gallery_paths: tuple[str, ...]
    matches: tuple[bool, ...]


def rank_some_queries(
    features: np.ndarray, target: EvaluationTarget, num_queries: int, *, top: int = 10
) -> list[RankedQuery]:
    """Rank the gallery of the first split for a few queries, evenly spaced over those that have a valid match.

    The choice depends on the target alone, so pictures of two models show the same queries.

    Args:
        features: Shape (n, D), one row per image of the target.
        target: The benchmark.
        num_queries: How many; fewer if the target has fewer.
        top: Gallery images to keep for each.

    Returns:
        The queries in the target's order.
    """
    query, gallery = split_rows(target, target.splits[0])
    identities, cameras = np.asarray(target.identities), effective_cameras(target)
    index = GalleryIndex(
        identities[query], identities[gallery], cameras[query], cameras[gallery], (len(query), len(gallery))
    )
    valid = np.flatnonzero(index.valid_queries)
    chosen = valid[np.unique(np.linspace(0, len(valid) - 1, min(num_queries, len(valid))).round().astype(int))]
    distance = _distances(take_rows(features, query[chosen]), take_rows(features, gallery))
    ranked = []
    for row, order in zip(chosen, distance.argsort(dim=1, stable=True).numpy(), strict=True):
        columns, _, ignored = (array[0] for array in index.candidates(row, row + 1))
        nearest = gallery[order[~np.isin(order, columns[ignored])][:top]]
        ranked.append(
            RankedQuery(
                target=target.name,
                query_path=target.paths[query[row]],
                captions=target.captions[query[row]],
                gallery_paths=tuple(target.paths[image] for image in nearest),
                matches=tuple((identities[nearest] == identities[query[row]]).tolist()),
            )
        )
    return ranked


def _distances(query: np.ndarray, gallery: np.ndarray) -> Tensor:
    """Squared Euclidean distances, short of a constant per query."""
    images = torch.from_numpy(gallery)
    with exact_float32_matmul(torch.device('cpu')):
        squares = torch.linalg.vector_norm(images, dim=1).square()
        return torch.addmm(squares, torch.from_numpy(query), images.T, alpha=-2)
