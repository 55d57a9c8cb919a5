"""What torchreid's engine measures, unrounded."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

MAX_RANK = 50
"""Where torchreid's engine cuts CMC curves."""

_RANKS = (1, 5, 10, 20)
_NAMES = {'mAP': 'mAP', 'rank1': 'R1'}


class ScoreKeeper:
    """Takes the place of an engine's `SummaryWriter`: torchreid prints scores rounded, but writes them whole.

    Attributes:
        scores: `<target>/mAP` and `<target>/R1` in percent, of the latest test.
    """

    def __init__(self) -> None:
        self.scores: dict[str, float] = {}

    def add_scalar(self, tag: str, value: float, step: int) -> None:
        """Keep the scores of tests; curves of training go nowhere."""
        kind, _, rest = tag.partition('/')
        target, _, name = rest.rpartition('/')
        if kind == 'Test':
            self.scores[f'{target}/{_NAMES[name]}'] = 100 * float(value)

    def close(self) -> None:
        """Do nothing: no file is open."""

    def with_average(self) -> dict[str, float]:
        """Return the scores and their average over the targets, under the names of `ReIDMetric`."""
        averages = {}
        for name in _NAMES.values():
            values = [value for key, value in self.scores.items() if key.rpartition('/')[2] == name]
            averages[f'average/{name}'] = float(np.mean(values))
        return self.scores | averages


def rankable(test_dataset: Mapping[str, Mapping[str, Sequence[Any]]]) -> list[int]:
    """Find the ranks that torchreid's engine can report, before any feature is extracted.

    Args:
        test_dataset: A data manager's `test_dataset`.

    Returns:
        Those of 1, 5, 10, 20 that every CMC curve reaches.

    Raises:
        ValueError: If the curves of a target's queries differ in length, of which torchreid's ranking dies.
    """
    shortest = MAX_RANK
    for name, roles in test_dataset.items():
        lengths = _curve_lengths(roles['query'], roles['gallery'])
        if len(lengths) != 1:
            reason = (
                f'its queries keep between {min(lengths)} and {max(lengths)} gallery images, and torchreid takes only '
                f'curves of one length (cut at {MAX_RANK})'
                if lengths
                else 'no query has a match in the gallery under another camera'
            )
            raise ValueError(f'torchreid cannot rank {name}: {reason}. tools/test.py can rank small galleries.')
        shortest = min(shortest, *lengths)
    return [rank for rank in _RANKS if rank <= shortest]


def _curve_lengths(query: Sequence[Any], gallery: Sequence[Any]) -> set[int]:
    """Find how many gallery images, up to `MAX_RANK`, the queries with a match keep under the same-camera rule."""
    people = Counter(person for _, person, *_ in gallery)
    views = Counter((person, camera) for _, person, camera, *_ in gallery)
    ignored = {views[person, camera] for _, person, camera, *_ in query if people[person] > views[person, camera]}
    return {min(len(gallery) - number, MAX_RANK) for number in ignored}
