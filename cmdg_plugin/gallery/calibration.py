"""When nobody matches: thresholds on the best score of a query, learned from queries of people who are not there."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

MATCH, UNSURE, NOBODY = 'match', 'unsure', 'nobody'


@dataclass(frozen=True)
class Threshold:
    """What was learned for one kind of query.

    Attributes:
        match: From this score on, a best match counts as one.
        unsure: From this score on, it may be one; below it, nobody matches.
        match_rate: Fraction of queries for absent people whose best score reaches `match`, at most.
        unsure_rate: Fraction of them whose best score reaches `unsure`, at most.
        found: Fraction of queries for people who are there whose best match is theirs and reaches `match`; NaN where
            there were none.
        absent: Number of queries for absent people.
        present: Number of queries for people who are there.
        entries: Number of entries of the gallery then.
    """

    match: float
    unsure: float
    match_rate: float
    unsure_rate: float
    found: float
    absent: int
    present: int
    entries: int

    def to_dict(self) -> dict[str, float | None]:
        """What a file holds of it."""
        return {name: None if value != value else value for name, value in asdict(self).items()}


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
    needed = math.ceil(1 / rate - 1e-9)
    if len(scores) < needed:
        raise ValueError(
            f'A false-positive rate of {rate:g} takes at least {needed:,} queries of people who are not there; there '
            f'are {len(scores):,}. Give more labelled images, or a higher rate.'
        )
    ordered = np.sort(np.asarray(scores, np.float64))[::-1]
    allowed = math.floor(rate * len(ordered) + 1e-9)
    # Just above the first score that may not reach it.
    return float(np.nextafter(ordered[allowed], np.inf))


def judge(score: float | None, threshold: Mapping[str, float]) -> str:
    """Say what a best score means.

    Args:
        score: The best score of a query; None where nothing passed the filter.
        threshold: With `match` and `unsure`, see `Threshold`.

    Returns:
        `match`, `unsure` or `nobody`.
    """
    if score is None or score < threshold['unsure']:
        return NOBODY
    return MATCH if score >= threshold['match'] else UNSURE
