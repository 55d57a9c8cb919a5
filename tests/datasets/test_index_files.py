import pytest

from cmdg_plugin.datasets.index_files import default_image_root, iterate_rows


def read(path):
    return [row.read()[0] for row in iterate_rows(path)]


def test_where_paths_start(tmp_path):
    (tmp_path / 'index.csv').touch()
    assert default_image_root(tmp_path) == tmp_path
    assert default_image_root(tmp_path / 'index.csv') == tmp_path


def test_rows_say_where_they_stand(tmp_path):
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


def test_commas_that_are_not_quoted(tmp_path):
    path = tmp_path / 'index.csv'
    path.write_text('path,global\na.jpg,A man, walking.\n')
    with pytest.raises(ValueError, match=r'line 2 has more cells .* quote commas'):
        read(path)


def test_a_folder_within_a_folder(tmp_path):
    (tmp_path / 'query').mkdir()
    (tmp_path / 'query' / '0001_c1.JPG').touch()
    (tmp_path / 'query' / 'list.txt').touch()
    (row,) = iterate_rows(tmp_path)
    path, facts = row.read()
    assert (path, facts) == ('query/0001_c1.JPG', (1, 1, 'query'))


def test_another_encoding_is_named(tmp_path):
    path = tmp_path / 'index.csv'
    path.write_bytes('path,identity\nmüller.jpg,1\n'.encode('latin-1'))
    with pytest.raises(ValueError, match=r'index\.csv is not written in UTF-8'):
        list(iterate_rows(path))
