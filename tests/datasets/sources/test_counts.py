from dataclasses import replace
from pathlib import Path

import pytest

from cmdg_plugin.datasets.sources import BENCHMARKS, BenchmarkSource, SourceIndex, SourceRecord, SourceSplit
from cmdg_plugin.datasets.sources.benchmark import RoleCount
from cmdg_plugin.datasets.sources.counts import CountRow, compare_counts, count_cameras


def test_counts_are_logged_next_to_the_expected_ones(release_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = []
    for name in ('say', 'warn'):
        monkeypatch.setattr(
            f'cmdg_plugin.datasets.sources.counts.{name}', lambda line, name=name: lines.append((name, line))
        )
    BenchmarkSource('market1501', str(release_data)).load()
    BenchmarkSource('prid', str(release_data)).load()
    (level, text), (fine, good) = lines
    assert level == 'warn'
    assert 'train 4 identities, 16 images (expected 751 identities, 12,936 images)' in text
    assert fine == 'say'
    assert good == (
        'prid (release layout): train 100 identities, 200 images; query 100 identities, 100 images; '
        'gallery 649 identities, 649 images'
    )


def test_only_what_is_expected_can_differ() -> None:
    row = CountRow('gallery', RoleCount(4, 12), RoleCount(None, 12))
    assert row.agrees
    assert str(row) == 'gallery 4 identities, 12 images'
    assert str(CountRow('query', RoleCount(4, 12), RoleCount(5, None))) == (
        'query 4 identities, 12 images (expected 5 identities, ? images)'
    )


def test_one_number_in_two_scopes_is_two_people() -> None:
    train = (SourceRecord('a.jpg', 1, scope='one'), SourceRecord('b.jpg', 1, 2, scope='two'), SourceRecord('c.jpg', 2))
    index = SourceIndex('shop', 'root', (SourceSplit(train=train),))
    assert compare_counts(index, replace(BENCHMARKS['cuhk03'], counts={})) == [
        CountRow('train', RoleCount(3, 3), RoleCount(None, None))
    ]
    assert count_cameras(index) == 2


def test_versions_have_counts_of_their_own() -> None:
    benchmark = BENCHMARKS['cuhk03']
    found = {
        version: [row.expected.images for row in compare_counts(None, benchmark, version)]
        for version in ('labeled', 'detected')
    }
    assert found == {'labeled': [7_368, 1_400, 5_328], 'detected': [7_365, 1_400, 5_332]}
