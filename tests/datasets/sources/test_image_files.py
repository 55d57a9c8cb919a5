from pathlib import Path
from typing import Any

import pytest

from cmdg_plugin.datasets.sources import SourceIndex, SourceRecord, SourceSplit
from cmdg_plugin.datasets.sources.image_files import draw_expected_tree, find_alike, find_missing, locate
from cmdg_plugin.datasets.sources.index_checks import check_index


def index(root: Path | str = 'nowhere', has_cameras: bool = True, **roles: Any) -> SourceIndex:
    return SourceIndex('shop', str(root), (SourceSplit(**roles),), has_cameras=has_cameras)


def record(path: str = 'a.jpg', identity: int = 1, camera: int = 1, **more: Any) -> SourceRecord:
    return SourceRecord(path, identity, camera, **more)


def test_one_file_by_two_names(tmp_path: Path) -> None:
    (tmp_path / 'all').mkdir()
    (tmp_path / 'all' / 'a.jpg').touch()
    (tmp_path / 'gallery').symlink_to('all')
    (tmp_path / 'query').mkdir()
    (tmp_path / 'query' / 'b.jpg').symlink_to('../all/a.jpg')
    names = ('all/a.jpg', 'gallery/a.jpg', 'query/b.jpg', 'none/c.jpg')
    places = locate(str(tmp_path / name) for name in names)
    assert places == [str(tmp_path / name) for name in ('all/a.jpg', 'all/a.jpg', 'all/a.jpg', 'none/c.jpg')]
    shared = index(tmp_path, query=(record('query/b.jpg'),), gallery=(record('gallery/a.jpg', 1, 2),))
    with pytest.raises(ValueError, match=r'query/b.jpg and gallery/a.jpg \(query and gallery\) .* camera 1 and 2'):
        check_index(shared)


def test_what_is_missing_keeps_its_order(tmp_path: Path) -> None:
    (tmp_path / 'a').mkdir()
    (tmp_path / 'a' / '1.jpg').touch()
    (tmp_path / 'top.jpg').touch()
    asked = ['b/2.jpg', 'a/1.jpg', 'a/2.jpg', 'top.jpg', 'a/2.jpg', 'gone.jpg', 'top.jpg/3.jpg']
    assert find_missing(tmp_path, asked) == ['b/2.jpg', 'a/2.jpg', 'gone.jpg', 'top.jpg/3.jpg']


@pytest.mark.parametrize('name', ['ZO\u00cb.JPG', 'zoe\u0308.jpg'])
def test_a_name_in_another_case_or_with_other_accents_is_alike(tmp_path: Path, name: str) -> None:
    (tmp_path / 'a').mkdir()
    (tmp_path / 'a' / name).touch()
    assert find_alike(tmp_path, 'a/Zo\u00eb.jpg') == f'a/{name}'
    assert find_alike(tmp_path, 'a/Zoe.jpg') == ''
    assert find_alike(tmp_path, 'b/Zo\u00eb.jpg') == ''


def test_the_tree_shows_two_levels_with_an_example_each() -> None:
    paths = ['train/0001/a.jpg', 'train/0001/b.jpg', 'top.jpg', *(f'q{number}/x.jpg' for number in range(11))]
    lines = draw_expected_tree('data', paths).splitlines()
    assert lines[:3] == ['data/', '  train/0001/a.jpg  (2 images)', '  top.jpg  (1 images)']
    assert len(lines) == 14
    assert lines[-1] == '  ... and 1 more folders'
