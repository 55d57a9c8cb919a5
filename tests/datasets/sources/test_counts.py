from pathlib import Path

import pytest

from cmdg_plugin.datasets.sources import BENCHMARKS, BenchmarkSource, SourceIndex, SourceRecord, SourceSplit
from cmdg_plugin.datasets.sources.benchmark import RoleCount
from cmdg_plugin.datasets.sources.counts import CountRow, compare_counts, count_cameras, get_expected_rows


def test_counts_are_logged_next_to_the_expected_ones(release_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = []
    monkeypatch.setattr(
        'cmdg_plugin.datasets.sources.counts.print_log', lambda text, logger, level: lines.append((level, text))
    )
    BenchmarkSource('market1501', str(release_data)).load()
    BenchmarkSource('prid', str(release_data)).load()
    (level, text), (fine, good) = lines
    assert level == 30
    assert 'train 4 people, 16 images (expected 751 people, 12,936 images)' in text
    assert fine == 20
    assert good == (
        'prid (release layout): train 100 people, 200 images; query 100 people, 100 images; '
        'gallery 649 people, 649 images'
    )


def test_only_what_is_expected_can_differ() -> None:
    row = CountRow('gallery', RoleCount(4, 12), RoleCount(None, 12))
    assert row.agrees
    assert str(row) == 'gallery 4 people, 12 images'
    assert str(CountRow('query', RoleCount(4, 12), RoleCount(5, None))) == (
        'query 4 people, 12 images (expected 5 people, ? images)'
    )


def test_one_number_in_two_scopes_is_two_people() -> None:
    train = (SourceRecord('a.jpg', 1, scope='one'), SourceRecord('b.jpg', 1, 2, scope='two'), SourceRecord('c.jpg', 2))
    index = SourceIndex('shop', 'root', (SourceSplit(train=train),))
    assert compare_counts(index) == [CountRow('train', RoleCount(3, 3), RoleCount(None, None))]
    assert count_cameras(index) == 2


def test_versions_have_counts_of_their_own() -> None:
    benchmark = BENCHMARKS['cuhk03']
    found = {
        version: [row.expected.images for row in get_expected_rows(None, benchmark, version)]
        for version in ('labeled', 'detected')
    }
    assert found == {'labeled': [7_368, 1_400, 5_328], 'detected': [7_365, 1_400, 5_332]}
