"""Scores of one target: several query/gallery splits over images that were encoded once."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from cmdg_plugin.datasets.evaluation_set import EvaluationSplit, EvaluationTarget
from cmdg_plugin.evaluation.matches import GalleryIndex
from cmdg_plugin.evaluation.ranking import RetrievalResult, rank_retrieval
from cmdg_plugin.evaluation.reranking import Reranking, rank_reranked
from cmdg_plugin.saying import say

RANKS: tuple[int, ...] = (1, 5, 10)
"""Ranks of the CMC curve that are reported."""

SCORES: tuple[str, ...] = ('mAP', *(f'R{rank}' for rank in RANKS), 'mINP')
"""Names of the scores of a target, in the order of reports."""

RELEASED = '_released'
"""Ends the name of a score of the released split, where all splits are scored."""

RERANKED = '_rerank'
"""Ends the name of a score after k-reciprocal re-ranking, after `RELEASED`."""

JUNK_IDENTITY = -1
"""Identity of images that show nobody in particular; they neither ask nor answer (Market-1501)."""


def split_rows(target: EvaluationTarget, split: EvaluationSplit) -> tuple[np.ndarray, np.ndarray]:
    """Positions of a split's query and gallery images without junk (identity -1)."""
    query, gallery = (
        rows[target.identities[rows] != JUNK_IDENTITY] for rows in (np.asarray(split.query), np.asarray(split.gallery))
    )
    return query, gallery


def effective_cameras(target: EvaluationTarget) -> np.ndarray:
    """Cameras for the same-camera rule, shape (n,).

    Where cameras are unknown every image counts as its own camera, so that a query ignores nothing but itself.
    """
    return np.asarray(target.cameras) if target.has_cameras else np.arange(len(target.identities))


def labels_of_sides(
    target: EvaluationTarget, query: np.ndarray, gallery: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Identities of queries and gallery images, then cameras of both, as the ranking functions take them."""
    identities, cameras = np.asarray(target.identities), effective_cameras(target)
    return identities[query], identities[gallery], cameras[query], cameras[gallery]


def index_split(target: EvaluationTarget, split: EvaluationSplit) -> GalleryIndex:
    """Find which gallery images of a split may match which query, junk left out."""
    query, gallery = split_rows(target, split)
    return GalleryIndex(*labels_of_sides(target, query, gallery), (len(query), len(gallery)))


def take_rows(features: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Rows of the features, as a view without a copy where they stand in one run."""
    if len(rows) and rows[-1] - rows[0] + 1 == len(rows) and (np.diff(rows) == 1).all():
        return features[rows[0] : rows[-1] + 1]
    return features[rows]


def check_target(target: EvaluationTarget) -> None:
    """Check that every split has a query that counts, which needs no features.

    Raises:
        ValueError: If one has none; it names the target and explains the rule.
    """
    for split in target.splits:
        try:
            index_split(target, split).require_a_valid_query()
        except ValueError as error:
            raise ValueError(f'Target {target.name!r}: {error}') from error


def rank_target(
    features: np.ndarray,
    target: EvaluationTarget,
    *,
    reranking: Reranking | None = None,
    chunk_size: int | None = None,
    device: str | None = None,
) -> tuple[dict[str, float], RetrievalResult]:
    """Rank every split of a target; give the averages and what single queries of the first split reached.

    Args:
        features: Shape (n, D), one row per image of the target.
        target: The benchmark.
        reranking: Score a second time, by re-ranked distances with these settings.
        chunk_size: See `rank_retrieval`.
        device: See `rank_retrieval`.

    Returns:
        `mAP`, `R1`, `R5`, `R10`, `mINP` in percent, the mean over the splits; with several splits also `mAP_std` and
        `R1_std`, the standard deviation over them (divided by their number); with a released split beside them also
        `mAP_released`, `R1_released`, ..., `mINP_released`. With re-ranking all of them once more: `mAP_rerank`,
        `mAP_rerank_std`, `mAP_released_rerank`, ... And the plain result of the first split.

    Raises:
        ValueError: If features are not finite or a split has no valid query; it names the target.
    """
    _check_finite(features, target)
    scores: dict[str, float] = {}

    def rank(ranking: Callable[..., RetrievalResult], split: EvaluationSplit) -> RetrievalResult:
        sides = split_rows(target, split)
        rows = (take_rows(features, side) for side in sides)
        labels = labels_of_sides(target, *sides)
        try:
            return ranking(*rows, *labels, max_rank=max(RANKS), chunk_size=chunk_size, device=device)
        except ValueError as error:
            raise ValueError(f'Target {target.name!r}: {error}') from error

    def score(ranking: Callable[..., RetrievalResult], ending: str) -> list[RetrievalResult]:
        results = [rank(ranking, split) for split in target.splits]
        scores.update(_average_splits(results, ending))
        if target.released is not None:
            scores.update(_average_splits([rank(ranking, target.released)], RELEASED + ending))
        return results

    results = score(rank_retrieval, '')
    asked = sum(len(split_rows(target, split)[0]) for split in target.splits)
    _log_counts(target, asked, sum(result.num_valid_queries for result in results))
    if reranking is not None:
        score(partial(rank_reranked, settings=reranking), RERANKED)
    return scores, results[0]


def _average_splits(results: Sequence[RetrievalResult], ending: str) -> dict[str, float]:
    percent = 100 * np.array([[each.mAP, *each.cmc[np.array(RANKS) - 1], each.mINP] for each in results])
    scores = dict(zip((name + ending for name in SCORES), percent.mean(axis=0).tolist(), strict=True))
    if len(results) > 1:
        scores |= {f'{name}{ending}_std': float(percent[:, SCORES.index(name)].std()) for name in ('mAP', 'R1')}
    return scores


def _check_finite(features: np.ndarray, target: EvaluationTarget) -> None:
    # A row's sum is NaN or infinite where the row holds such a number, and needs no mask of the matrix's size.
    bad = np.flatnonzero(~np.isfinite(features.sum(axis=1, dtype=np.float64)))
    if len(bad):
        raise ValueError(
            f'Target {target.name!r}: the features of {len(bad)} of {len(features)} images hold NaN or '
            f'infinite numbers (first: {target.name_row(bad[0])}). Look for a diverged training run or an overflow in '
            'half precision.'
        )


def _log_counts(target: EvaluationTarget, asked: int, counted: int) -> None:
    splits = f' in {len(target.splits)} splits' if len(target.splits) > 1 else ''
    gallery = round(np.mean([len(split.gallery) for split in target.splits]))
    queries = 'sentences ask' if target.sentences else 'queries'
    message = f'{target.name}: {asked} {queries}{splits}, {gallery} gallery images.'
    if counted < asked:
        message += f' {asked - counted} queries have no valid match and do not count.'
    if not target.has_cameras and not target.sentences:
        message += ' No camera ids: images of the same camera are not left out.'
    say(message)
