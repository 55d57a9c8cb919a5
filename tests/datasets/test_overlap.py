"""Datasets that hold images of others."""

from typing import Any

import pytest

from cmdg_plugin.datasets.overlap import find_overlaps, mark_overlaps, trained_datasets

TEXT = ('cuhk-pedes', 'icfg-pedes', 'rstpreid')


@pytest.mark.parametrize(
    ('trained_on', 'expected'),
    [
        (['market1501', 'cuhk03', 'viper', 'cuhksysu'], {'cuhk-pedes': ('cuhk03', 'cuhksysu', 'market1501', 'viper')}),
        (['msmt17'], {'icfg-pedes': ('msmt17',), 'rstpreid': ('msmt17',)}),
        # Both are pictures of MSMT17; training and test images of one dataset are other ones.
        (['icfg-pedes'], {'rstpreid': ('icfg-pedes',)}),
        # Its first pair of cameras is CUHK01, which CUHK-PEDES holds.
        (['cuhk02'], {'cuhk-pedes': ('cuhk02',)}),
        (['prid', 'grid', 'ilids'], {}),
    ],
)
def test_targets_for_text_search(trained_on: list[str], expected: dict[str, tuple[str, ...]]) -> None:
    assert find_overlaps(TEXT, trained_on) == expected


def test_other_targets() -> None:
    assert find_overlaps(['viper', 'market1501', 'metro', 'average'], ['cuhk-pedes', 'market1501']) == {
        'viper': ('cuhk-pedes',),
        'market1501': ('cuhk-pedes',),
    }


def test_what_is_said() -> None:
    (said,) = mark_overlaps(['metro', 'rstpreid'], ['msmt17']).items()
    assert said == (
        'rstpreid',
        'shares images with msmt17, which the model was trained on; it is not an unseen domain.',
    )
    assert mark_overlaps(TEXT, []) == {}
    unknown = mark_overlaps(['metro', 'cuhk-pedes'], [], known=False)
    assert unknown == {
        'cuhk-pedes': 'holds images of cuhk01, cuhk03, cuhksysu, market1501, viper; whether the model was trained on '
        'them is not known.'
    }


@pytest.mark.parametrize(
    ('source', 'expected'),
    [
        ({'type': 'BenchmarkSource', 'name': 'market1501', 'data_root': '/data/msmt17'}, {'market1501'}),
        ({'type': 'CaptionFileSource', 'name': 'mine', 'root': '/data/Market-1501-v15.09.15'}, {'market1501'}),
        ({'type': 'OwnSource', 'name': 'mine', 'path': '/data/MSMT17_V1.csv'}, {'msmt17'}),
        ({'type': 'CaptionFileSource', 'name': 'x', 'caption_file': 'captions/cuhksysu.json'}, {'cuhksysu'}),
        ({'type': 'HeldOutSource', 'source': {'type': 'BenchmarkSource', 'name': 'cuhk03'}}, {'cuhk03'}),
        ({'type': 'IslandsSource', 'domain': 'market'}, set()),
        ('something else', set()),
    ],
)
def test_sources_are_known_by_name_and_place(source: Any, expected: set[str]) -> None:
    assert trained_datasets({'train_dataloader': {'dataset': {'sources': [source]}}}) == expected


@pytest.mark.parametrize('config', [{}, {'train_dataloader': None}, {'train_dataloader': {'dataset': {'type': 'X'}}}])
def test_configs_that_do_not_say_what_they_train_on(config: dict[str, Any]) -> None:
    assert trained_datasets(config) is None
