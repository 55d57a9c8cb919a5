from pathlib import Path

import pytest

from cmdg_plugin.datasets import ReIDEvaluationSet
from cmdg_plugin.datasets.sources import BENCHMARKS, BenchmarkSource, SourceRecord, TorchreidSource
from cmdg_plugin.datasets.sources.single_shot import draw_people, draw_splits


def test_without_caption_file_there_is_no_released_split(
    torchreid_data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ('viper', 'prid', 'ilids'):
        found = TorchreidSource(name, str(torchreid_data)).load()
        assert (found.positions(), found.positions('all')) == ((0,), tuple(range(10)))
    (target,) = ReIDEvaluationSet(
        [{'type': 'TorchreidSource', 'name': 'viper', 'data_root': str(torchreid_data)}], split='all'
    ).targets
    assert len(target.splits) == 10
    assert len(target.paths) <= 12


def test_drawn_splits_are_the_same_for_everybody(release_data: Path) -> None:
    """If these numbers change, nobody's published means over ten splits compare any more."""
    found = BenchmarkSource('prid', str(release_data)).load()
    firsts = [sorted(record.identity for record in found.splits[number].query)[:5] for number in (0, 1, 9)]
    assert firsts == [[2, 14, 15, 16, 19], [5, 6, 7, 10, 11], [1, 3, 4, 6, 7]]


def test_halves_of_people_are_disjoint_and_the_test_half_is_the_larger() -> None:
    for trained, tested in draw_people([5, 1, 2, 3, 4, 4]):
        assert (len(trained), len(tested)) == (2, 3)
        assert trained | set(tested) == {1, 2, 3, 4, 5}
    assert draw_people([3, 2, 1]) == draw_people([1, 2, 3])


def test_two_cameras_ask_with_the_first_and_look_in_the_second() -> None:
    pairs = [SourceRecord(f'{camera}/{person}.png', person, camera) for person in range(4) for camera in (1, 2)]
    alone, nobody = SourceRecord('1/9.png', 9, 1), SourceRecord('2/7.png', 7, 2, distractor=True)
    splits = draw_splits(BENCHMARKS['prid'], [*reversed(pairs), alone, nobody])
    assert splits == draw_splits(BENCHMARKS['prid'], [*pairs, alone, nobody])
    for split in splits:
        assert [record.camera for record in split.query] == [1, 1]
        assert [record.camera for record in split.gallery] == [2, 2, 2]
        assert split.gallery[-1] is nobody
        assert {record.identity for record in split.query} == {record.identity for record in split.gallery[:-1]}
        # Whoever has one image can be neither asked for nor found.
        assert alone not in split.train


def test_datasets_with_splits_of_their_own_draw_none() -> None:
    with pytest.raises(ValueError, match="grid: splits are drawn of two cameras and any two images, not 'shipped'"):
        draw_splits(BENCHMARKS['grid'], [])
