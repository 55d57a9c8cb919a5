from pathlib import Path

import pytest

from cmdg_plugin.datasets.index_files import default_image_root, iterate_rows


def read(path: Path) -> list:
    return [row.read()[0] for row in iterate_rows(path)]


def test_where_paths_start(tmp_path: Path) -> None:
    (tmp_path / 'index.csv').touch()
    assert default_image_root(tmp_path) == tmp_path
    assert default_image_root(tmp_path / 'index.csv') == tmp_path


def test_rows_say_where_they_stand(tmp_path: Path) -> None:
    path = tmp_path / 'index.csv'
    path.write_text('path,identity,"a, b"\na.jpg,1,\n"b,\nc.jpg",x,y\n')
    first, second = iterate_rows(path)
    assert first.record == {'path': 'a.jpg', 'identity': '1'}
    assert first.read()[0] == 'a.jpg'
    # A cell of two lines: the row ends on the fourth.
    with pytest.raises(ValueError, match=r"index.csv, line 4, column 'identity': expected a whole number, got 'x'"):
        second.read()
    path = tmp_path / 'index.jsonl'
    path.write_text('\n{"path": "a.jpg", "role": "test"}\n')
    (row,) = iterate_rows(path)
    with pytest.raises(ValueError, match=r"index.jsonl, line 2, key 'role': expected one of train, val"):
        row.read()


def test_commas_that_are_not_quoted(tmp_path: Path) -> None:
    path = tmp_path / 'index.csv'
    path.write_text('path,global\na.jpg,A man, walking.\n')
    with pytest.raises(ValueError, match=r'line 2 has more cells .* quote commas'):
        read(path)


def test_a_folder_within_a_folder(tmp_path: Path) -> None:
    (tmp_path / 'query').mkdir()
    (tmp_path / 'query' / '0001_c1.JPG').touch()
    (tmp_path / 'query' / 'list.txt').touch()
    (row,) = iterate_rows(tmp_path)
    path, facts = row.read()
    assert (path, facts) == ('query/0001_c1.JPG', (1, 1, 'query'))


def test_another_encoding_is_named(tmp_path: Path) -> None:
    path = tmp_path / 'index.csv'
    path.write_bytes('path,identity\nmüller.jpg,1\n'.encode('latin-1'))
    with pytest.raises(ValueError, match=r'index\.csv is not written in UTF-8'):
        list(iterate_rows(path))


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('[{"train": [], "test": []}]', r"index\.json, split 0 has a list 'test', whose role is unknown"),
        ('[{"train": []}, {"path": "a.jpg"}]', r'index\.json, entry 1 is not a split, though others are'),
        ('[{"path": "a.jpg"}, {"train": []}]', r'index\.json, entry 0 is not a split, though others are'),
        ('[{"train": [], "query": {}}]', r"split 0, key 'query': expected a list of records, got a dict"),
        ('[{"val": [3]}]', r'split 0, val, record 0: expected a record, got a int'),
        ('[{"train": [], "train": []}]', r"split 0 has the key 'train' twice"),
    ],
)
def test_splits_that_are_none(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / 'index.json'
    path.write_text(content)
    with pytest.raises(ValueError, match=message) as caught:
        list(iterate_rows(path))
    assert type(caught.value) is ValueError


def test_rows_know_their_split_and_need_not_have_all_roles(tmp_path: Path) -> None:
    path = tmp_path / 'index.json'
    path.write_text('[{"train": [{"path": "a.jpg"}]}, {"val": [{"path": "b.jpg", "query": 1}]}]')
    found = [(row.read()[0], row.split, row.split_index) for row in iterate_rows(path)]
    assert found == [('a.jpg', 'train', 0), ('b.jpg', 'val', 1)]
