"""Build the sources that a config lists and load their indices."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from cmdg_plugin.datasets.sources.index import ReIDSource, SourceIndex, build_source, check_source, load_source
from cmdg_plugin.datasets.sources.index_checks import check_index, log_summary


def load_sources(sources: Sequence[Mapping[str, Any] | ReIDSource]) -> list[SourceIndex]:
    """Index every source, and log a line about each.

    Raises:
        TypeError: If an entry is neither.
        ValueError: If there is none, two have one name, or one says two things about one image.
    """
    if isinstance(sources, Mapping) or not isinstance(sources, Sequence) or not sources:
        raise ValueError(f'expected a list with at least one source, got {sources!r}.')
    built = [build_source(source) for source in sources]
    repeated = [name for name, count in Counter(source.name for source in built).items() if count > 1]
    if repeated:
        raise ValueError(f'two sources are called {repeated[0]!r}; names tell results apart, so give each its own.')
    indices = [load_source(source) for source in built]
    for index in indices:
        check_index(index)
        log_summary(index)
    return indices


def check_sources(sources: Sequence[Mapping[str, Any] | ReIDSource]) -> None:
    """Look whether sources are there, without indexing them.

    Raises:
        FileNotFoundError: If one is not; says what is expected where.
        TypeError: If an entry is neither.
    """
    for source in sources:
        check_source(build_source(source))
