"""When nobody matches: thresholds on the best score of a query, learned from queries of people who are not there."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

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
