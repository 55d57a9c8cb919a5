"""What each protocol needs of the nine datasets, and what stands in its way."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cmdg_plugin.datasets.checking.dataset_check import DatasetCheck


@dataclass(frozen=True)
class Protocol:
    """One way to share the datasets out.

    Attributes:
        sources: Datasets to train on.
        subsets: Roles of their images that are trained on.
        targets: Datasets to be tested on.
    """

    sources: tuple[str, ...]
    subsets: str
    targets: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """All datasets it needs."""
        return (*self.sources, *self.targets)


_ROUND = ('market1501', 'msmt17', 'cuhksysu', 'cuhk03')
_TARGETS = ('market1501', 'msmt17', 'cuhk03')

PROTOCOLS: dict[str, Protocol] = {
    'p1': Protocol(('market1501', 'cuhksysu', 'cuhk02', 'cuhk03'), 'all', ('prid', 'grid', 'viper', 'ilids')),
    **{
        f'{number}_{target}': Protocol(tuple(name for name in _ROUND if name != target), subsets, (target,))
        for number, subsets in (('p2', 'train'), ('p3', 'all'))
        for target in _TARGETS
    },
}
"""By name, as in the names of the configs."""


def find_obstacles(protocol: Protocol, checks: Mapping[str, DatasetCheck]) -> list[str]:
    """List what keeps a protocol from being run; nothing if it is ready.

    Numbers that differ from the expected ones are not an obstacle; captions that are missing for training images are.
    """
    obstacles = [problem for name in protocol.sources for problem in _of_source(checks[name], protocol.subsets)]
    return obstacles + [problem for name in protocol.targets for problem in _of_target(checks[name])]


def _of_source(check: DatasetCheck, subsets: str) -> Iterator[str]:
    if check.fault or check.index is None:
        yield _first_line(check)
        return
    records = check.index.select(subsets)
    bare = sum(record.captions is None for record in records)
    if not records:
        yield f'{check.name}: no images to train on'
    elif bare:
        yield f'{check.name}: {bare:,} of {len(records):,} images to train on have no captions'


def _of_target(check: DatasetCheck) -> Iterator[str]:
    if check.fault or check.index is None:
        yield _first_line(check)
        return
    split = check.index.split()
    for role in ('query', 'gallery'):
        if not getattr(split, role):
            yield f'{check.name}: no {role} images'


def _first_line(check: DatasetCheck) -> str:
    reason = check.fault.splitlines()[0].removeprefix(f'{check.name}: ').removesuffix(' Expected layout:')
    return f'{check.name}: {reason}'
