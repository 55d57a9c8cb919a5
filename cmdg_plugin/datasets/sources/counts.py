"""What was found in a dataset next to what is expected."""

from collections.abc import Sequence
from dataclasses import dataclass

from cmdg_plugin.datasets.caption_fields import SPLITS
from cmdg_plugin.datasets.sources.benchmark import Benchmark, RoleCount
from cmdg_plugin.datasets.sources.index import SourceIndex, SourceRecord
from cmdg_plugin.saying import say, warn

_UNKNOWN = RoleCount(None, None)


@dataclass(frozen=True)
class CountRow:
    """One role of a dataset: found and expected identities and images."""

    role: str
    found: RoleCount
    expected: RoleCount

    @property
    def agrees(self) -> bool:
        """Whether everything that is expected was found."""
        pairs = zip(self.found, self.expected, strict=True)
        return all(expected is None or found == expected for found, expected in pairs)

    def __str__(self) -> str:
        """Say what was found, and what is expected where that differs."""
        text = f'{self.role} {_describe(self.found)}'
        return text if self.agrees else f'{text} (expected {_describe(self.expected)})'


def compare_counts(index: SourceIndex | None, benchmark: Benchmark, version: str = '') -> list[CountRow]:
    """Count identities and images of each role of the released split.

    Args:
        index: The dataset; None where nothing is known of it but what is expected.
        benchmark: What is expected of it.
        version: Which version of the benchmark it is.
    """
    expected = benchmark.counts.get(version) or benchmark.counts.get('', {})
    if index is None:
        return [CountRow(role, _UNKNOWN, count) for role, count in expected.items()]
    found = {role: getattr(index.split(), role) for role in SPLITS}
    return [
        CountRow(role, _count(records), expected.get(role, _UNKNOWN))
        for role, records in found.items()
        if records or role in expected
    ]


def count_cameras(index: SourceIndex) -> int:
    """Count the cameras of all splits."""
    return len({record.camera for split in index.splits for _, record in split.members()})


def log_counts(name: str, rows: Sequence[CountRow], remark: str) -> None:
    """Log the counts, as a warning if one is not what is expected."""
    line = f'{name} ({remark}): {"; ".join(str(row) for row in rows)}'
    if all(row.agrees for row in rows):
        say(line)
    else:
        warn(line)


def _count(records: Sequence[SourceRecord]) -> RoleCount:
    return RoleCount(len({(record.scope, record.identity) for record in records}), len(records))


def _describe(count: RoleCount) -> str:
    identities = '' if count.identities is None else f'{count.identities:,} identities, '
    return f'{identities}{"?" if count.images is None else format(count.images, ",")} images'
