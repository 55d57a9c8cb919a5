from pathlib import Path

import pytest

from cmdg_plugin.datasets.source_building import check_sources, load_sources


def test_missing_data_are_named_without_indexing(tmp_path: Path) -> None:
    benchmark = {'type': 'BenchmarkSource', 'name': 'viper', 'data_root': str(tmp_path)}
    own = {'type': 'OwnSource', 'name': 'shop', 'path': str(tmp_path / 'shop.csv')}
    for source, message in (
        (benchmark, 'viper was not found below'),
        ({**benchmark, 'type': 'TorchreidSource'}, 'viper was not found below'),
        (own, r'shop: nothing at .*shop\.csv'),
        ({'type': 'HeldOutSource', 'source': own}, r'shop: nothing at .*shop\.csv'),
    ):
        with pytest.raises(FileNotFoundError, match=message):
            check_sources([source])


def test_sources_that_are_there_or_cannot_tell_pass(tmp_path: Path) -> None:
    (tmp_path / 'shop.csv').write_text('neither read nor understood')
    check_sources([{'type': 'OwnSource', 'name': 'shop', 'path': str(tmp_path / 'shop.csv')}])
    check_sources([{'type': 'IslandsSource', 'domain': 'harbor', 'root': str(tmp_path / 'drawn-when-used')}])
    check_sources([])


def test_a_list_of_sources_is_expected() -> None:
    with pytest.raises(ValueError, match='expected a list with at least one source'):
        load_sources([])
    with pytest.raises(TypeError, match='expected the config of a source'):
        check_sources([3])
