import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cmdg_plugin.captioning.items import iterate_items
from cmdg_plugin.datasets import CaptionRecord


def test_a_folder_gives_its_images_with_what_their_names_say(make_images: Callable[..., Path]) -> None:
    root = make_images(3)
    (root / 'notes.txt').write_text('no image')
    (root / 'deep').mkdir()
    (root / 'deep' / 'UPPER.JPG').write_bytes(b'')
    (root / 'deep' / 'circle').symlink_to(root)
    items = sorted(iterate_items(root), key=lambda item: item.file_path)
    assert items == [
        CaptionRecord('bounding_box_train/0000_c1s1_000000.png', None, 0, 1, 'train'),
        CaptionRecord('bounding_box_train/0000_c2s1_000001.png', None, 0, 2, 'train'),
        CaptionRecord('bounding_box_train/0001_c1s1_000002.png', None, 1, 1, 'train'),
        CaptionRecord('deep/UPPER.JPG'),
    ]


RECORDS = [
    {'file_path': '/a/x.jpg', 'identity': 3, 'camera': 1, 'split': 'query'},
    {'path': 'a/y.jpg', 'model': 'ignored'},
]
WANTED = [CaptionRecord('a/x.jpg', None, 3, 1, 'query'), CaptionRecord('a/y.jpg')]


def test_a_json_index_is_read(tmp_path: Path) -> None:
    (tmp_path / 'index.json').write_text(json.dumps(RECORDS))
    assert list(iterate_items(tmp_path / 'index.json')) == WANTED


def test_an_index_of_json_lines_is_read(tmp_path: Path) -> None:
    (tmp_path / 'index.jsonl').write_text('\n\n'.join(json.dumps(record) for record in RECORDS))
    assert list(iterate_items(tmp_path / 'index.jsonl')) == WANTED


def test_a_csv_index_is_read(tmp_path: Path) -> None:
    (tmp_path / 'index.csv').write_text('path,identity,camera,split\n/a/x.jpg,3,1,query\na/y.jpg,,,\n')
    assert list(iterate_items(tmp_path / 'index.csv')) == WANTED


def test_released_files_of_several_splits(tmp_path: Path) -> None:
    record = {'id': 4, 'camid': 0, 'file_path': '/a.png', 'captions': ['a'] * 4}
    splits = [{'train': [record], 'query': [], 'gallery': [{**record, 'file_path': 'b.png'}]}] * 2
    (tmp_path / 'grid.json').write_text(json.dumps(splits))
    items = list(iterate_items(tmp_path / 'grid.json'))
    assert items == [CaptionRecord('a.png', None, 4, 0), CaptionRecord('b.png', None, 4, 0)] * 2


@pytest.mark.parametrize(
    ('name', 'content', 'message'),
    [
        ('index.json', '[{"identity": 3}]', "record 0, key 'file_path'"),
        ('index.json', '[{"path": "../x.jpg"}]', 'leaves the root'),
        ('index.json', '[5]', 'expected a record, got a int'),
        ('index.jsonl', '{"path": "a"}\nnot json', 'line 2 is not JSON'),
        ('index.csv', 'file,identity\na,1\n', 'has no column file_path or path'),
        ('index.csv', 'path,identity\na,x1y\n', "line 2, column 'identity'"),
        ('index.txt', 'a.jpg', 'not an index that can be read'),
    ],
)
def test_a_wrong_index_is_named(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=message):
        list(iterate_items(tmp_path / name))


def test_no_such_source(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match='give a folder of images, or an index'):
        iterate_items(tmp_path / 'nowhere')


def test_file_name_that_no_json_can_hold(tmp_path: Path) -> None:
    (tmp_path / 'images').mkdir()
    with open(bytes(tmp_path / 'images') + b'/\xff.jpg', 'wb'):
        pass
    with pytest.raises(ValueError, match='not UTF-8'):
        list(iterate_items(tmp_path / 'images'))


@pytest.mark.parametrize('name', ['back\\slash.png', ' ahead.png'])
def test_file_name_that_a_caption_file_changes(make_images: Callable[..., Path], name: str) -> None:
    root = make_images(1)
    (root / name).write_bytes(b'')
    with pytest.raises(ValueError, match=r'would be read from a caption file as .* rename it'):
        list(iterate_items(root))


def test_file_names_of_all_scripts(make_images: Callable[..., Path]) -> None:
    root = make_images(1)
    for name in ('漢字 😀.png', '<b>"x".png', 'two\nlines.png'):
        (root / name).write_bytes(b'')
    assert {item.file_path for item in iterate_items(root)} >= {'漢字 😀.png', '<b>"x".png', 'two\nlines.png'}
