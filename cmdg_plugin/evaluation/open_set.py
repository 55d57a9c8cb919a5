"""Open-set identification: whether a query's person is there at all, told by the score of its best gallery image."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from cmdg_plugin.evaluation.exact_matmul import exact_float32_matmul
from cmdg_plugin.evaluation.inputs import Labels, Matrix, as_two_sides, choose_device
from cmdg_plugin.evaluation.matches import GalleryIndex
from cmdg_plugin.evaluation.ranking import choose_chunk_size, distance_chunks


class BestScores(NamedTuple):
    """Best scores of queries, higher is closer; minus infinity where there is no such gallery image.

    Attributes:
        own: Shape (Q,), among gallery images of the query's identity that count as matches.
        others: Shape (Q,), among gallery images of other identities.
    """

    own: np.ndarray
    others: np.ndarray


def best_scores(
    query_features: Matrix,
    gallery_features: Matrix,
    query_ids: Labels,
    gallery_ids: Labels,
    query_cameras: Labels,
    gallery_cameras: Labels,
    *,
    chunk_size: int | None = None,
    device: str | torch.device | None = None,
) -> BestScores:
    """Find each query's best score, minus the squared Euclidean distance, for its own person and for others.

    Gallery images of the query's identity and camera are left out. Between features of length one a score is twice
    the cosine similarity minus 2, so that thresholds on either sort queries alike.

    Args:
        query_features: Shape (Q, D); this and the others, with their errors, as in `rank_retrieval`.
        gallery_features: Shape (G, D).
        query_ids: Shape (Q,).
        gallery_ids: Shape (G,).
        query_cameras: Shape (Q,).
        gallery_cameras: Shape (G,).
        chunk_size: Queries compared at once.
        device: Where to compute.
    """
    target = choose_device(query_features, device)
    own, others = [], []
    with torch.no_grad(), exact_float32_matmul(target):
        query, gallery = as_two_sides(query_features, gallery_features, target)
        index = GalleryIndex(query_ids, gallery_ids, query_cameras, gallery_cameras, (len(query), len(gallery)))
        squares = torch.linalg.vector_norm(query, dim=1).square()
        for start, distance in distance_chunks(query, gallery, choose_chunk_size(chunk_size, *index.shape)):
            distance += squares[start : start + len(distance), None]
            candidates = index.candidates(start, start + len(distance))
            columns, exists, ignored = (torch.from_numpy(each).to(target) for each in candidates)
            matches = distance.gather(1, columns).masked_fill(~exists | ignored, math.inf)
            own.append(matches.amin(dim=1))
            rows, slots = exists.nonzero(as_tuple=True)
            distance[rows, columns[rows, slots]] = math.inf
            others.append(distance.amin(dim=1))
    return BestScores(-torch.cat(own).cpu().numpy(), -torch.cat(others).cpu().numpy())


def identification_rate(
    own: Sequence[float] | np.ndarray, others: Sequence[float] | np.ndarray, threshold: float
) -> float:
    """True-positive identification rate at rank 1: the share of queries whose person is found and is called found.

    A tie is not a find: an image of somebody else that scores as high as the best of the query's own person takes the
    first rank, so that the rate does not depend on the order of the gallery. (One minus the
    false-negative identification rate at rank 1 and a threshold, as NIST's FRVT 1:N reports define it.)

    Args:
        own: Shape (N,), best scores for the queries' own people, who are in the gallery.
        others: Shape (N,), best scores of the same queries for other people.
        threshold: A score that counts, if it is reached.

    Returns:
        A fraction; NaN where there are no queries.
    """
    mine, theirs = np.asarray(own, np.float64), np.asarray(others, np.float64)
    return float(np.mean((mine >= threshold) & (mine > theirs))) if len(mine) else math.nan


def needed_queries(rate: float) -> int:
    """Fewest queries of absent people from which a threshold for a false-positive rate can be known: 100 for 1%."""
    return math.ceil(1 / rate - 1e-9)


def learn_threshold(scores: Sequence[float] | np.ndarray, rate: float) -> float:
    """Find the lowest threshold that few scores reach.

    Args:
        scores: Best scores (N,) of queries for people who are not there.
        rate: Fraction of them that may reach the threshold, between 0 and 1.

    Returns:
        The threshold; at most `rate * N` of the scores are as high or higher.

    Raises:
        ValueError: If the rate is not between 0 and 1, or there are too few scores to know it (fewer than 1 / rate).
    """
    if not 0 < rate < 1:
        raise ValueError(f'A false-positive rate is between 0 and 1, such as 0.01; got {rate}.')
    needed = needed_queries(rate)
    if len(scores) < needed:
        raise ValueError(
            f'A false-positive rate of {rate:g} takes at least {needed:,} queries of people who are not there; there '
            f'are {len(scores):,}. Give more labelled images, or a higher rate.'
        )
    ordered = np.sort(np.asarray(scores, np.float64))[::-1]
    allowed = math.floor(rate * len(ordered) + 1e-9)
    # Just above the first score that may not reach it.
    return float(np.nextafter(ordered[allowed], np.inf))
