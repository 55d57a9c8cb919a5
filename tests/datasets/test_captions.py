import gc
import json
from pathlib import Path
from typing import Any

import pytest
from mmengine.logging import MMLogger

from cmdg_plugin.datasets import CaptionRecord, load_captions
from cmdg_plugin.datasets.faulty_rows import FaultyRows

SENTENCES = ('A man walks.', 'A red shirt.', 'A brown belt.', 'Blue jeans.')


def record(file_path: str, **keys: Any) -> dict:
    return {'file_path': file_path, 'captions': list(SENTENCES)} | keys


def write(folder: Path, content: list | str, name: str = 'file.json') -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def splits(count: int, **roles: Any) -> list[dict]:
    return [{'train': [], 'query': [], 'gallery': [], **roles} for _ in range(count)]


@pytest.mark.parametrize(
    ('content', 'expected'),
    [
        pytest.param(
            [record('bounding_box_train/0002_c1s1_000451_03.jpg', id=2, cmid=1)],
            ('bounding_box_train/0002_c1s1_000451_03.jpg', 2, 1, 'train', None),
            id='market1501-train',
        ),
        pytest.param(
            [record('bounding_box_test/0000_c3s2_000451_03.jpg', id=0, cmid=3)],
            ('bounding_box_test/0000_c3s2_000451_03.jpg', 0, 3, 'gallery', None),
            id='market1501-gallery',
        ),
        pytest.param(
            [record('query/1501_c6s1_000451_03.jpg', id=1501, cmid=6)],
            ('query/1501_c6s1_000451_03.jpg', 1501, 6, 'query', None),
            id='market1501-query',
        ),
        pytest.param(
            [record('train/0000/0000_000_01_0303morning_0008_0.jpg', id=0, split='val')],
            ('train/0000/0000_000_01_0303morning_0008_0.jpg', 0, 1, 'val', None),
            id='msmt17',
        ),
        pytest.param(
            [record('/images_labeled/3_001_2_01.png', id=7, split='query')],
            ('images_labeled/3_001_2_01.png', 7, 2 * 3 + 2 - 3, 'query', None),
            id='cuhk03',
        ),
        pytest.param(
            [record('P1/cam1/001_01.png', id='cuhk02_P1_12', split='train')],
            ('P1/cam1/001_01.png', 12, 0, 'train', None),
            id='cuhk02',
        ),
        pytest.param(
            [record('cropped_images/p11422_s16929_1.jpg', id='11422')],
            ('cropped_images/p11422_s16929_1.jpg', 11422, None, None, None),
            id='cuhksysu',
        ),
        pytest.param(
            splits(9) + splits(1, gallery=[record('/gallery/0000_1_25023_115_75_85_218.jpeg', id=0, camid=4)]),
            ('gallery/0000_1_25023_115_75_85_218.jpeg', 0, 4, 'gallery', 9),
            id='grid',
        ),
        pytest.param(
            splits(9, train=[]) + splits(1, query=[record('images/0056001.jpg', id=56, camid=0)]),
            ('images/0056001.jpg', 56, 0, 'query', 9),
            id='ilids',
        ),
        pytest.param(
            splits(1, train=[record('/single_shot/cam_a/person_0002.png', id=2, camid=0, caption='')]),
            ('single_shot/cam_a/person_0002.png', 2, 0, 'train', 0),
            id='prid',
        ),
        pytest.param(
            [record('split_1a/train/p336_c2_d180.png', id=336, camid=2, split='train')],
            ('split_1a/train/p336_c2_d180.png', 336, 2, 'train', None),
            id='viper',
        ),
        pytest.param(
            [record('any/where.jpg', identity=5, camera=3, split='gallery')],
            ('any/where.jpg', 5, 3, 'gallery', None),
            id='own',
        ),
        pytest.param([record('where.jpg')], ('where.jpg', None, None, None, None), id='own-bare'),
    ],
)
def test_every_nesting_is_read(tmp_path: Path, content: list[dict], expected: tuple) -> None:
    (found,) = load_captions(write(tmp_path, content))
    file_path, identity, camera, split, split_index = expected
    assert found == CaptionRecord(file_path, SENTENCES, identity, camera, split, split_index)


def test_all_splits_are_kept_in_order(tmp_path: Path) -> None:
    content = [
        {'train': [record('a.jpg', id=1)], 'query': [record('b.jpg', id=2)], 'gallery': [record('c.jpg', id=2)]},
        {'train': [record('b.jpg', id=1)], 'query': [record('c.jpg', id=2)], 'gallery': [record('a.jpg', id=2)]},
    ]
    found = [(item.split_index, item.split, item.file_path) for item in load_captions(write(tmp_path, content))]
    assert found == [
        (0, 'train', 'a.jpg'),
        (0, 'query', 'b.jpg'),
        (0, 'gallery', 'c.jpg'),
        (1, 'train', 'b.jpg'),
        (1, 'query', 'c.jpg'),
        (1, 'gallery', 'a.jpg'),
    ]


@pytest.mark.parametrize(
    ('broken', 'key', 'what'),
    [
        ({'captions': list(SENTENCES)}, 'file_path', 'nothing|None'),
        (record(''), 'file_path', 'path of an image'),
        (record(7), 'file_path', '7'),
        (record('../secret.jpg'), 'file_path', 'leaves the root'),
        (record('a/../../secret.jpg'), 'file_path', 'leaves the root'),
        (record('/../secret.jpg'), 'file_path', 'leaves the root'),
        (record('a\\..\\..\\secret.jpg'), 'file_path', 'leaves the root'),
        ({'file_path': 'b.jpg'}, 'captions', 'nothing'),
        ({'file_path': 'b.jpg', 'captions': 'A man.'}, 'captions', 'str'),
        ({'file_path': 'b.jpg', 'captions': list(SENTENCES[:3])}, 'captions', 'got 3'),
        ({'file_path': 'b.jpg', 'captions': [*SENTENCES, 'More.']}, 'captions', 'got 5'),
        ({'file_path': 'b.jpg', 'captions': [*SENTENCES[:3], None]}, 'captions', 'entry 3 is None'),
        ({'file_path': 'b.jpg', 'captions': [SENTENCES[0], '  ', *SENTENCES[2:]]}, 'captions', 'entry 1 is empty'),
        (record('b.jpg', id='nobody'), 'id', 'nobody'),
        (record('b.jpg', id=True), 'id', 'True'),
        (record('b.jpg', camid=1.5), 'camid', '1.5'),
        (record('b.jpg', split='testing'), 'split', 'testing'),
        (record('b.jpg', split='train', role='val'), 'role', "says 'val', but 'split' says 'train'"),
        (record('b.jpg', id=2**63), 'id', '64 bits'),
        (record('b\0.jpg'), 'file_path', 'not text'),
        (record('b' * 300), 'file_path', 'longer'),
        (record('b.jpg', captions=['a', 'b', 'c', '\ud800']), 'captions', 'half a character'),
        (record('a.jpg', id=5), 'identity', r'a.jpg has 5 here and None in .*record 0'),
        (record('a.jpg', captions=['a', 'b', 'c', 'd']), 'captions', "a.jpg has 'a' here and 'A man walks.'"),
    ],
)
@pytest.mark.parametrize('nested', [False, True])
def test_faults_name_file_record_and_key(tmp_path: Path, broken: dict, key: str, what: str, nested: bool) -> None:
    records = [record('a.jpg'), record('c.jpg'), broken]
    path = write(tmp_path, splits(1) + splits(1, query=records) if nested else records)
    where = 'split 1, query, record 2' if nested else 'record 2'
    with pytest.raises(ValueError, match=what) as caught:
        load_captions(path)
    for part in (str(path), where, f'{key!r}'):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    'content',
    [
        'no json',
        '[{"file_path": ',
        '{"file_path": "a.jpg"}',
        '[]',
        '"text"',
        '["a.jpg"]',
        '[null]',
        '[{"train": {}, "query": [], "gallery": []}]',
        '[{"train": [], "query": []}]',
        '[{"train": [], "query": [], "gallery": []}]',
        '[{"train": [], "query": [], "gallery": ["a.jpg"]}]',
        '[{"train": [], "query": [], "gallery": []}, {"file_path": "a.jpg"}]',
        '[[{"file_path": "a.jpg"}]]',
        '[' * 100_000,
        '[{"train": [], "query": [], "gallery": [], "train": []}]',
        '[{"train": [], "query": [], "gallery": [], "test": []}]',
        '[{"train": [], "query": [], "gallery": [], "val": {}}]',
    ],
)
def test_wrong_files_are_named(tmp_path: Path, content: str) -> None:
    path = write(tmp_path, content)
    with pytest.raises(ValueError, match=r'JSON|caption file') as caught:
        load_captions(path)
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / 'file.json'
    path.write_bytes(b'\xff\xfe\x00')
    with pytest.raises(ValueError, match='not a JSON file'):
        load_captions(path)


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r'nowhere.json'):
        load_captions(tmp_path / 'nowhere.json')


def test_a_file_is_read_once_until_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, [record('a.jpg')])
    reads = []
    read_bytes = Path.read_bytes
    monkeypatch.setattr(Path, 'read_bytes', lambda self: reads.append(self) or read_bytes(self))
    first = load_captions(path)
    first.append('scribble')
    (again,) = load_captions(str(path))
    assert again is first[0]
    assert len(reads) == 1
    write(tmp_path, [record('a.jpg'), record('b.jpg')])
    assert [item.file_path for item in load_captions(path)] == ['a.jpg', 'b.jpg']
    assert len(reads) == 2


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    path = tmp_path / 'file.json'
    path.write_bytes(b'\xef\xbb\xbf' + json.dumps([record('a.jpg')]).encode())
    assert load_captions(path)[0].file_path == 'a.jpg'


def test_the_garbage_collector_is_left_as_it_was(tmp_path: Path) -> None:
    assert gc.isenabled()
    load_captions(write(tmp_path, [record('a.jpg')]))
    with pytest.raises(ValueError, match='not a JSON'):
        load_captions(write(tmp_path, 'no json', 'other.json'))
    assert gc.isenabled()
    gc.disable()
    try:
        load_captions(write(tmp_path, [record('b.jpg')], 'third.json'))
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_twice_in_one_split_and_in_two(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    MMLogger.get_current_instance().addHandler(caplog.handler)
    same = [record('a.jpg', id=1), record('/a.jpg', id=1), record('b.jpg', id=1)]
    assert len(load_captions(write(tmp_path, same))) == 3
    assert 'file.json: 1 records repeat another one' in caplog.text
    roles = {'train': [record('a.jpg', id=1)], 'query': [record('a.jpg', id=1)], 'gallery': []}
    with pytest.raises(
        ValueError, match=r"split 0, query, record 0, key 'role': a.jpg has 'query' here and 'train' in"
    ):
        load_captions(write(tmp_path, [roles]))
    # Splits number people anew, and describe them anew.
    splits = [roles | {'query': []}, roles | {'train': [], 'query': [record('a.jpg', id=7, captions=['a'] * 4)]}]
    assert [item.identity for item in load_captions(write(tmp_path, splits))] == [1, 7]


def test_a_key_twice(tmp_path: Path) -> None:
    text = '[{"file_path": "a.jpg", "captions": ["a", "b", "c", "d"], "id": 1, "id": 2}]'
    with pytest.raises(ValueError, match=r"record 0 \(counted from 0\), key 'id': the record has this key twice"):
        load_captions(write(tmp_path, text))
    text = '[{"file_path": "a.jpg", "captions": ["a", "b", "c", "d"], "id": ' + '9' * 5000 + '}]'
    with pytest.raises(ValueError, match=r"record 0 \(counted from 0\), key 'id': .* does not fit into 64 bits"):
        load_captions(write(tmp_path, text))


def test_val_images_of_a_split_are_read(tmp_path: Path) -> None:
    content = splits(1, val=[record('a.jpg', id=1)])
    assert [item.split for item in load_captions(write(tmp_path, content))] == ['val']


@pytest.mark.parametrize('nested', [False, True])
def test_all_faulty_records_are_known_at_once(tmp_path: Path, nested: bool) -> None:
    records = [record('a.jpg'), 5, record('b.jpg', id='anna'), record('c.jpg'), record('a.jpg', id=3)]
    path = write(tmp_path, splits(1, query=records) if nested else records)
    with pytest.raises(FaultyRows, match=r'record 1: expected a record, got a int(.|\n)*2 other rows are') as caught:
        load_captions(path)
    wanted = (
        'record 1: expected a record',
        "record 2 (counted from 0), key 'id'",
        "record 4, key 'identity': a.jpg has 3",
    )
    assert [what in fault for what, fault in zip(wanted, caught.value.faults, strict=True)] == [True] * 3


def test_records_among_splits_are_refused_whatever_they_hold(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='is not a caption file: entry 0 is not a split, though others are'):
        load_captions(write(tmp_path, [5, record('b.jpg', id='anna'), *splits(1)]))
