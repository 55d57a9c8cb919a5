"""Files of images with sentences: the three public formats, and what is wrong with others."""

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from cmdg_plugin.datasets import CaptionRecord
from cmdg_plugin.datasets.faulty_rows import FaultyRows
from cmdg_plugin.datasets.sentence_files import load_sentences

GOOD = {'split': 'test', 'captions': ['A man in red.'], 'file_path': 'a/0002_c1s1_000451_03.jpg', 'id': 7}


def write(path: Path, records: object) -> Path:
    path.write_text(records if isinstance(records, str) else json.dumps(records))
    return path


@pytest.mark.parametrize(
    ('name', 'file', 'last'),
    [
        (
            'cuhk-pedes',
            'CUHK-PEDES/reid_raw.json',
            ('cam_b/045_90.bmp', 12006, ('A person in a gray shirt and white pants walks. Sentence 0.',)),
        ),
        (
            'icfg-pedes',
            'ICFG-PEDES/ICFG-PEDES.json',
            (
                'test/0628/0628_002_12_0303noon_0400_2.jpg',
                3103,
                ('A person in a brown shirt and black pants walks. Sentence 0.',),
            ),
        ),
        (
            'rstpreid',
            'RSTPReid/data_captions.json',
            (
                '3902_c3_0007.jpg',
                3902,
                tuple(f'A person in a gray shirt and brown pants walks. Sentence {number}.' for number in range(2)),
            ),
        ),
    ],
)
def test_public_formats(
    miniatures: ModuleType, tmp_path: Path, name: str, file: str, last: tuple[str, int, tuple[str, ...]]
) -> None:
    written = miniatures.write_text_miniature(tmp_path, name)
    records = load_sentences(tmp_path / file)
    path, identity, sentences = last
    assert records[-1] == CaptionRecord(path, sentences, identity, split='gallery')
    assert [record.split for record in records] == [
        {'test': 'gallery'}.get(record['split'], record['split']) for record in written
    ]


def test_only_keys_say_who_is_in_an_image(tmp_path: Path) -> None:
    """The name says person 2, as Market-1501 numbers them; the file says 7."""
    (record,) = load_sentences(write(tmp_path / 'a.json', [{**GOOD, 'id': '7'}]))
    assert record == CaptionRecord('a/0002_c1s1_000451_03.jpg', ('A man in red.',), 7, split='gallery')


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'captions': 'A man in red.'}, "key 'captions': expected a list of one sentence or more, got 'A man in red.'"),
        ({'captions': []}, "key 'captions': expected a list of one sentence or more"),
        ({'captions': ['A man.', ' ']}, "key 'captions': entry 1 is empty"),
        ({'captions': [3]}, "key 'captions': entry 0 is 3, not a sentence"),
        ({'captions': ['\ud800']}, "key 'captions': entry 0 holds half a character"),
        ({'split': 'exam'}, "key 'split': expected train, val or test, got 'exam'"),
        ({'split': None}, "key 'split': expected train, val or test, got None"),
        ({'id': None}, "key 'id': nothing says who is in a/0002"),
        ({'id': -1}, "key 'id': identities are numbered from 0 or 1, got -1"),
        ({'id': 'Ann'}, "key 'id': expected a whole number, got 'Ann'"),
        ({'file_path': '../a.jpg'}, "key 'file_path': '../a.jpg' leaves the root"),
        ({'file_path': None}, "key 'file_path': expected the path of an image, got None"),
        ({'file_path': None, 'img_path': 3}, "key 'img_path': expected the path of an image, got 3"),
    ],
)
def test_faulty_records_are_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = write(tmp_path / 'a.json', [GOOD, {**GOOD, **change}])
    with pytest.raises(FaultyRows) as caught:
        load_sentences(path)
    assert str(caught.value).startswith(f'{path}, record 1 (counted from 0), {message}')


def test_all_faulty_records_are_counted(tmp_path: Path) -> None:
    repeated = '{"id": 1, "id": 2, "split": "test", "captions": ["A."], "file_path": "a.jpg"}'
    with pytest.raises(FaultyRows, match=r'record 0 .* twice; keep one of them') as caught:
        load_sentences(write(tmp_path / 'a.json', f'[{repeated}, 5]'))
    assert caught.value.faults[1].endswith('record 1 (counted from 0): expected a record, got 5.')


@pytest.mark.parametrize(
    ('content', 'message'),
    [('[]', 'lists no image'), ('{"a": 1}', 'must hold a JSON list'), ('[{"a": ', 'entry 0 is not JSON')],
)
def test_what_is_no_list_of_records(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_sentences(write(tmp_path / 'a.json', content))
    with pytest.raises(FileNotFoundError, match=r'no caption file at .*absent'):
        load_sentences(tmp_path / 'absent.json')
