import json
from pathlib import Path

import pytest

from cmdg_plugin.gallery.entries import Entry, iterate_entries, survey


def write(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b'')
    return folder


def test_a_folder_by_its_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path / 'shop', 'query/0012_c3_a.jpg', 'other/0012_c3_a.jpg', 'notes.txt', '.hidden.jpg')
    other, query = iterate_entries([folder])
    assert query == Entry(str(folder / 'query/0012_c3_a.jpg'), '12', 3, columns={'role': 'query'})
    assert other == Entry(str(folder / 'other/0012_c3_a.jpg'))
    # The folder that is named may be the one whose name says the role, and an image may be named itself.
    assert list(iterate_entries([folder / 'query'])) == [query]
    assert list(iterate_entries([folder / 'query/0012_c3_a.jpg'])) == [query]
    # Also where it is named from within.
    (folder / 'query/below').mkdir()
    for place, source in (('query', '.'), ('query/below', '..'), ('query', '0012_c3_a.jpg')):
        monkeypatch.chdir(folder / place)
        assert list(iterate_entries([source])) == [query]


def test_paths_are_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path / 'shop', 'a.jpg')
    monkeypatch.chdir(tmp_path)
    for source in ('shop', 'shop/a.jpg', './shop/../shop'):
        assert [entry.path for entry in iterate_entries([source])] == [str(folder / 'a.jpg')]


def test_an_index_of_every_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    monkeypatch.setattr('cmdg_plugin.gallery.entries.warn', lines.append)
    row = {
        'path': 'a.jpg',
        'id': 7,
        'camera': 2,
        'time': '2026-05-01',
        'caption': 'A man.',
        'Floor level': 3,
        'tags': [1],
    }
    (tmp_path / 'index.json').write_text(json.dumps([row]))
    (tmp_path / 'lines.jsonl').write_text(json.dumps(row))
    wanted = Entry(str(tmp_path / 'a.jpg'), '7', 2, '2026-05-01T00:00:00', 'A man.', {'floor_level': 3})
    assert list(iterate_entries([tmp_path / 'index.json'])) == [wanted]
    assert "column 'tags' is left out of 1 entries" in lines[0]
    assert list(iterate_entries([tmp_path / 'lines.jsonl'])) == [wanted]
    (tmp_path / 'table.csv').write_text('path;identity;global;floor\na.jpg;Anna;A man.;3\nb.jpg;0012;;\n')
    first, second = iterate_entries([tmp_path / 'table.csv'], tmp_path / 'root')
    assert first == Entry(str(tmp_path / 'root/a.jpg'), 'Anna', None, None, 'A man.', {'floor': '3'})
    assert second == Entry(str(tmp_path / 'root/b.jpg'), '12')
    assert survey([tmp_path / 'table.csv', tmp_path / 'index.json']) == (3, {'floor': int, 'floor_level': int})


def test_a_released_caption_file(tmp_path: Path) -> None:
    record = {'id': 5, 'cmid': 2, 'file_path': '/query/0005_c2_a.jpg', 'captions': ['Global.', 'u', 'm', 'l']}
    (tmp_path / 'captions.json').write_text(json.dumps([{'train': [], 'query': [record], 'gallery': []}]))
    (entry,) = iterate_entries([tmp_path / 'captions.json'])
    # `cmid` is one of the released keys of a camera.
    assert entry == Entry(str(tmp_path / 'query/0005_c2_a.jpg'), '5', 2, None, 'Global.', {'role': 'query'})


@pytest.mark.parametrize(
    ('row', 'message'),
    [
        ({'path': '../a.jpg'}, "record 0, key 'path': .* leaves the root"),
        ({'path': 'a.jpg', 'time': 'noon'}, "record 0, key 'time': expected a time in ISO 8601"),
        ({'path': 'a.jpg', 'a b': 1, 'a-b': 2}, "record 0, key 'a-b': two columns are called a_b"),
        ({'path': 'a.jpg', 'class': 1}, "record 0, key 'class': a column called 'class' cannot be named in filters"),
        ({'path': 'a.jpg', 'caption': 5}, "record 0, key 'caption': expected a sentence"),
        ({'path': 'a.jpg', 'camera': 'hall'}, "record 0, key 'camera': expected a whole number, got 'hall'"),
    ],
)
def test_what_is_wrong_in_a_row_is_named(row: dict, message: str, tmp_path: Path) -> None:
    (tmp_path / 'index.json').write_text(json.dumps([row]))
    with pytest.raises(ValueError, match=message):
        list(iterate_entries([tmp_path / 'index.json']))


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(iterate_entries([tmp_path / 'index.csv']))


def test_an_empty_name_is_not_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(write(tmp_path, 'a.jpg'))
    with pytest.raises(ValueError, match='An empty name was given'):
        list(iterate_entries(['']))


def test_yes_and_no_are_numbers(tmp_path: Path) -> None:
    (tmp_path / 'index.json').write_text(
        json.dumps([{'path': 'a.jpg', 'hidden': True}, {'path': 'b.jpg', 'hidden': 0}])
    )
    first, second = iterate_entries([tmp_path / 'index.json'])
    assert (type(first.columns['hidden']), first.columns, second.columns) == (int, {'hidden': 1}, {'hidden': 0})
