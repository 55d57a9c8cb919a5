from pathlib import Path
from types import ModuleType

import pytest

from cmdg_plugin.datasets.sources import BENCHMARKS, BenchmarkSource, TorchreidSource
from cmdg_plugin.datasets.sources.locating import find_caption_file


@pytest.mark.parametrize('name', list(BENCHMARKS))
def test_absent_dataset_shows_the_expected_folders(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        BenchmarkSource(name, str(tmp_path)).load()
    message = str(caught.value)
    assert str(tmp_path) in message
    for layout in BENCHMARKS[name].layouts:
        assert f'{tmp_path}/{layout.folder}/' in message
        assert all(folder in message for folder in layout.markers)


def test_absent_caption_file_where_it_is_the_index(miniatures: ModuleType, tmp_path: Path) -> None:
    miniatures.write_miniature(tmp_path, 'viper')
    (tmp_path / 'captions' / 'viper.json').unlink()
    with pytest.raises(FileNotFoundError, match=r'no viper\.json'):
        BenchmarkSource('viper', str(tmp_path)).load()
    with pytest.raises(ValueError, match='torchreid cannot read viper in the release layout'):
        TorchreidSource('viper', str(tmp_path)).load()


def test_the_caption_file_is_looked_for_in_three_places(tmp_path: Path) -> None:
    benchmark = BENCHMARKS['ilids']
    beside = tmp_path / benchmark.layouts[1].folder
    assert find_caption_file(benchmark, tmp_path) is None
    for folder in (beside, tmp_path, tmp_path / 'captions'):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / 'ilds.json').touch()
        assert find_caption_file(benchmark, tmp_path) == folder / 'ilds.json'
