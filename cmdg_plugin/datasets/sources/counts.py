"""What was found in a dataset next to what is expected."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mmengine.logging import print_log

from cmdg_plugin.datasets.caption_fields import SPLITS
from cmdg_plugin.datasets.sources.benchmark import Benchmark, RoleCount
from cmdg_plugin.datasets.sources.index import SourceIndex, SourceRecord

_UNKNOWN = RoleCount(None, None)


@dataclass(frozen=True)
class CountRow:
    """One role of a dataset: found and expected people and images."""

    role: str
    found: RoleCount
    expected: RoleCount

    @property
    def agrees(self) -> bool:
        """Whether everything that is expected was found."""
        pairs = ((self.found.people, self.expected.people), (self.found.images, self.expected.images))
        return all(expected is None or found == expected for found, expected in pairs)

    def __str__(self) -> str:
        """Say what was found, and what is expected where that differs."""
        text = f'{self.role} {_spell(self.found)}'
        return text if self.agrees else f'{text} (expected {_spell(self.expected)})'


def compare_counts(index: SourceIndex, benchmark: Benchmark | None = None, version: str = '') -> list[CountRow]:
    """Count people and images of each role of the released split.

    Args:
        index: The dataset.
        benchmark: What is expected of it; None expects nothing.
        version: Which version of the benchmark it is.
    """
    split = index.split()
    expected = {} if benchmark is None else _expected(benchmark, version)
    rows = []
    for role in SPLITS:
        records = getattr(split, role)
        if records or role in expected:
            rows.append(CountRow(role, _count(records), expected.get(role, _UNKNOWN)))
    return rows


def get_expected_rows(index: SourceIndex | None, benchmark: Benchmark, version: str = '') -> list[CountRow]:
    """As `compare_counts`, also for a dataset of which nothing is known but what is expected."""
    if index is not None:
        return compare_counts(index, benchmark, version)
    return [CountRow(role, _UNKNOWN, count) for role, count in _expected(benchmark, version).items()]


def count_cameras(index: SourceIndex) -> int:
    """Count the cameras of all splits."""
    return len({record.camera for split in index.splits for role in SPLITS for record in getattr(split, role)})


def log_counts(name: str, rows: Sequence[CountRow], remark: str) -> None:
    """Log the counts, as a warning if one is not what is expected."""
    level = logging.INFO if all(row.agrees for row in rows) else logging.WARNING
    text = '; '.join(str(row) for row in rows)
    print_log(f'{name} ({remark}): {text}', logger='current', level=level)


def _expected(benchmark: Benchmark, version: str) -> Mapping[str, RoleCount]:
    return benchmark.counts.get(version) or benchmark.counts.get('', {})


def _count(records: Sequence[SourceRecord]) -> RoleCount:
    return RoleCount(len({(record.scope, record.identity) for record in records}), len(records))


def _spell(count: RoleCount) -> str:
    people = '' if count.people is None else f'{count.people:,} people, '
    return f'{people}{"?" if count.images is None else format(count.images, ",")} images'
