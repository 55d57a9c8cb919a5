"""Build the sources that a config lists and load their indices."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from cmdg_plugin.datasets.sources.index import ReIDSource, SourceIndex, check_source
from cmdg_plugin.datasets.sources.index_checks import check_index, log_summary
from cmdg_plugin.registry import SOURCES


def load_sources(sources: Sequence[Mapping[str, Any] | ReIDSource]) -> list[SourceIndex]:
    """Index every source, and log a line about each.

    Args:
        sources: Configs of registered sources, or sources.

    Raises:
        TypeError: If an entry is neither.
        ValueError: If there is none, two have one name, or one says two things about one image.
    """
    if isinstance(sources, Mapping) or not isinstance(sources, Sequence) or not sources:
        raise ValueError(f'expected a list with at least one source, got {sources!r}')
    built = [_build(source) for source in sources]
    repeated = [name for name, count in Counter(source.name for source in built).items() if count > 1]
    if repeated:
        raise ValueError(f'two sources are called {repeated[0]!r}; names tell results apart, so give each its own')
    indices = [source.load() for source in built]
    for index in indices:
        check_index(index)
        log_summary(index)
    return indices


def check_sources(sources: Sequence[Mapping[str, Any] | ReIDSource]) -> None:
    """Look whether sources are there, without indexing them.

    Args:
        sources: Configs of registered sources, or sources.

    Raises:
        FileNotFoundError: If one is not; says what is expected where.
        TypeError: If an entry is neither.
    """
    for source in sources:
        check_source(_build(source))


def _build(source: Mapping[str, Any] | ReIDSource) -> ReIDSource:
    if isinstance(source, Mapping):
        # MMEngine knows no such registry in the scope of another project's config, and warns of it without this.
        return SOURCES.build({'_scope_': 'cmdg_plugin', **source})
    if isinstance(source, ReIDSource):
        return source
    raise TypeError(f'expected the config of a source, such as dict(type=...), got {type(source).__name__}')
