"""Open-set scores of one target, some identities of which are held out of its gallery."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cmdg_plugin.datasets.evaluation_set import EvaluationSplit, EvaluationTarget
from cmdg_plugin.evaluation.inputs import check_positive
from cmdg_plugin.evaluation.matches import GalleryIndex
from cmdg_plugin.evaluation.open_set import (
    BestScores,
    best_scores,
    identification_rate,
    learn_threshold,
    needed_queries,
)
from cmdg_plugin.evaluation.target_scores import RELEASED, labels_of_sides, split_rows, take_rows
from cmdg_plugin.saying import say, warn

OPEN_SET_SCORES: dict[str, float] = {'TPIR1': 0.01, 'TPIR10': 0.1}
"""Names of the open-set scores, in the order of reports, with their false-positive identification rates."""


@dataclass(frozen=True)
class HoldingOut:
    """Which identities a gallery goes without.

    Attributes:
        share: Share of the query identities that are in the gallery, between 0 and 1; at least one is held out, and at
            least one stays.
        seed: Draws them; the same identities on every machine and for every model.

    Raises:
        ValueError: If one is not such a number.
    """

    share: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the numbers."""
        if isinstance(self.share, bool) or not isinstance(self.share, (int, float)) or not 0 < self.share < 1:
            raise ValueError(f'open_set.share must be a number between 0 and 1, such as 0.5; got {self.share!r}.')
        if self.seed != 0:
            check_positive(self.seed, 'open_set.seed')


@dataclass(frozen=True, eq=False)
class OpenSplit:
    """A split with people who are not there.

    Attributes:
        query: Positions (q,) of all queries.
        gallery: Positions (g,) of the gallery images that stay.
        absent: Whether a query's identity is not in the gallery, (q,).
        mated: Whether a query has a valid match there, (q,). One that has matches of its own camera alone is neither.
    """

    query: np.ndarray
    gallery: np.ndarray
    absent: np.ndarray
    mated: np.ndarray


def hold_out(target: EvaluationTarget, split: EvaluationSplit, settings: HoldingOut) -> OpenSplit:
    """Take the images of some query identities out of a split's gallery.

    Args:
        target: The benchmark.
        split: One of its splits.
        settings: Whom to take.

    Raises:
        ValueError: If fewer than two query identities are in the gallery, or nobody who stays can be found.
    """
    query, gallery = split_rows(target, split)
    identities = np.asarray(target.identities)
    shared = np.intersect1d(identities[query], identities[gallery])
    if len(shared) < 2:
        raise ValueError(
            f'Target {target.name!r}: open-set scores need two query identities that are in the gallery, one to hold '
            f'out and one to find; there are {len(shared)}. Leave open_set out.'
        )
    number = min(max(round(settings.share * len(shared)), 1), len(shared) - 1)
    gone = np.random.default_rng(settings.seed).permutation(shared)[:number]
    gallery = gallery[~np.isin(identities[gallery], gone)]
    absent = ~np.isin(identities[query], identities[gallery])
    index = GalleryIndex(*labels_of_sides(target, query, gallery), (len(query), len(gallery)))
    if not index.num_valid_queries:
        raise ValueError(
            f'Target {target.name!r}: with {number} of {len(shared)} identities held out, no query has a match from '
            'another camera. Take another open_set.seed or a smaller open_set.share.'
        )
    return OpenSplit(query, gallery, absent, index.valid_queries)


def score_open_set(
    features: np.ndarray, target: EvaluationTarget, settings: HoldingOut, **options: Any
) -> dict[str, float]:
    """True-positive identification rates of a target.

    Args:
        features: Shape (n, D), finite, one row per image of the target.
        target: The benchmark.
        settings: Whom its galleries go without.
        **options: `chunk_size` and `device` of `rank_retrieval`.

    Returns:
        `TPIR1` and `TPIR10` in percent, at false-positive identification rates of 1% and 10%, the mean over the
        splits; with a released split beside them `TPIR1_released`, ... A score for which a split has too few queries of
        absent people (1% takes 100, 10% takes 10) is left out, which is said.

    Raises:
        ValueError: See `hold_out`.
    """
    asked = {'': target.splits}
    if target.released is not None:
        asked[RELEASED] = (target.released,)
    scores: dict[str, float] = {}
    for ending, splits in asked.items():
        divided = [hold_out(target, split, settings) for split in splits]
        rates = _choose_rates(f'{target.name}{ending}', divided)
        found = []
        for split in divided if rates else ():
            sides = split.query, split.gallery
            query, gallery = (take_rows(features, side) for side in sides)
            best = best_scores(query, gallery, *labels_of_sides(target, *sides), **options)
            found.append({name: _identify(split, best, rate) for name, rate in rates.items()})
        scores |= {name + ending: 100 * float(np.mean([each[name] for each in found])) for name in rates}
    return scores


def _choose_rates(name: str, divided: Sequence[OpenSplit]) -> dict[str, float]:
    """Choose the false-positive rates for which there are queries enough; says how many there are."""
    fewest = min(int(each.absent.sum()) for each in divided)
    mated = round(np.mean([each.mated.sum() for each in divided]))
    say(f'{name}: open set of {mated} queries whose person is in the gallery, {fewest} whose is not.')
    for score, rate in OPEN_SET_SCORES.items():
        if fewest < needed_queries(rate):
            warn(
                f'{name}: {score} is left out; a false-positive rate of {rate:.0%} takes at least '
                f'{needed_queries(rate)} queries of people who are not in the gallery, and there are {fewest}.'
            )
    return {score: rate for score, rate in OPEN_SET_SCORES.items() if fewest >= needed_queries(rate)}


def _identify(split: OpenSplit, best: BestScores, rate: float) -> float:
    threshold = learn_threshold(best.others[split.absent], rate)
    return identification_rate(best.own[split.mated], best.others[split.mated], threshold)
