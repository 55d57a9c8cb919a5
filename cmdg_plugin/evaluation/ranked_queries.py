"""What some queries of a target found, for pictures."""

from dataclasses import dataclass

import numpy as np
import torch

from cmdg_plugin.datasets.evaluation_set import EvaluationTarget
from cmdg_plugin.evaluation.exact_matmul import exact_float32_matmul
from cmdg_plugin.evaluation.ranking import distance_chunks
from cmdg_plugin.evaluation.target_scores import index_split, split_rows, take_rows
from cmdg_plugin.regions import REGIONS


@dataclass(frozen=True)
class RankedQuery:
    """A query and the gallery images nearest to it, images that the same-camera rule ignores left out.

    Attributes:
        target: Name of the benchmark.
        query_path: File of the query image; '' where a sentence asks.
        captions: Its four sentences in region order, or None.
        gallery_paths: Files of the nearest gallery images, nearest first.
        matches: Whether each of them shows the query's identity, or None where that is not known.
        distances: Euclidean distance of each to the query, or nothing where they are not known.
        unit_length: Whether features have length one, so that the cosine is 1 - distance^2 / 2.
        average_precision: Of the query over the whole gallery, as a fraction, or None where it is not known.
        chosen_as: 'worst' or 'best' of its target's queries by average precision; '' if chosen whatever it scored.
    """

    target: str
    query_path: str
    captions: tuple[str, ...] | None
    gallery_paths: tuple[str, ...]
    matches: tuple[bool | None, ...]
    distances: tuple[float, ...] = ()
    unit_length: bool = False
    average_precision: float | None = None
    chosen_as: str = ''


def rank_some_queries(
    features: np.ndarray,
    target: EvaluationTarget,
    num_queries: int,
    *,
    top: int = 10,
    average_precision: np.ndarray | None = None,
    num_worst: int = 0,
    num_best: int = 0,
) -> list[RankedQuery]:
    """Rank the gallery of the first split for a few queries that have a valid match.

    Some are evenly spaced over the target, whatever they score, so that pictures of two models show the same ones; then
    come the worst and the best. No query comes twice.

    Args:
        features: Shape (n, D), one row per image of the target.
        target: The benchmark.
        num_queries: How many evenly spaced ones; fewer if the target has fewer.
        top: Gallery images to keep for each.
        average_precision: Of each query of the first split without junk, NaN where it does not count
            (`RetrievalResult.average_precision`); needed for the worst and the best.
        num_worst: How many of lowest average precision, worst first.
        num_best: How many of highest average precision, best first.

    Returns:
        The evenly spaced queries in the target's order, then the worst, then the best.
    """
    query, gallery = split_rows(target, target.splits[0])
    identities, index = np.asarray(target.identities), index_split(target, target.splits[0])
    chosen = _choose(np.flatnonzero(index.valid_queries), num_queries, average_precision, num_worst, num_best)
    rows = np.array(list(chosen), dtype=int)
    asking, found = take_rows(features, query[rows]), take_rows(features, gallery)
    with exact_float32_matmul(torch.device('cpu')):
        (_, distance), *_ = distance_chunks(torch.from_numpy(asking), torch.from_numpy(found), max(1, len(asking)))
    ranked = []
    for place, (row, order) in enumerate(zip(rows, distance.argsort(dim=1, stable=True).numpy(), strict=True)):
        columns, _, ignored = (array[0] for array in index.candidates(row, row + 1))
        path, captions = _what_asks(target, query[row])
        nearest = order[~np.isin(order, columns[ignored])][:top]
        images = gallery[nearest]
        lengths = np.linalg.norm(np.vstack([asking[place], found[nearest]]), axis=1)
        ranked.append(
            RankedQuery(
                target=target.name,
                query_path=path,
                captions=captions,
                gallery_paths=tuple(target.paths[image] for image in images),
                matches=tuple((identities[images] == identities[query[row]]).tolist()),
                distances=tuple(np.linalg.norm(found[nearest] - asking[place], axis=1).tolist()),
                unit_length=bool(np.allclose(lengths, 1, atol=1e-3)),
                average_precision=None if average_precision is None else float(average_precision[row]),
                chosen_as=chosen[row],
            )
        )
    return ranked


def _what_asks(target: EvaluationTarget, row: int) -> tuple[str, tuple[str, ...] | None]:
    """File of a query image and its captions, or no file and the sentence that asks."""
    if row < len(target.paths):
        return target.paths[row], target.captions[row]
    return '', (target.sentences[row - len(target.paths)],) * len(REGIONS)


def _choose(
    valid: np.ndarray, num_queries: int, precision: np.ndarray | None, num_worst: int, num_best: int
) -> dict[int, str]:
    """Positions of the queries to show and what each is chosen as, in the order of `rank_some_queries`."""
    spread = np.unique(np.linspace(0, len(valid) - 1, min(num_queries, len(valid))).round().astype(int))
    chosen = dict.fromkeys(valid[spread].tolist(), '')
    if precision is None:
        return chosen
    order = valid[precision[valid].argsort(kind='stable')].tolist()
    for name, rows, number in (('worst', order, num_worst), ('best', order[::-1], num_best)):
        others = [row for row in rows if row not in chosen]
        chosen |= dict.fromkeys(others[:number], name)
    return chosen
