import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from cmdg_plugin.datasets.json_stream import RepeatedKey, decode_json, iterate_json_list


@pytest.mark.parametrize('indent', [None, 2])
def test_reads_what_json_reads(tmp_path: Path, indent: int | None) -> None:
    generator = random.Random(0)
    # Longer than several chunks, with entries across their borders, one entry larger than a chunk, and bare numbers.
    entries = [{'path': 'é"\\\n' * generator.randrange(20), 'n': [generator.random()]} for _ in range(3000)]
    entries[7] = {'big': 'x' * 300_000}
    entries += [12345678901234567890] * 20_000
    path = tmp_path / 'list.json'
    path.write_text(json.dumps(entries, indent=indent), encoding='utf-8-sig')
    assert list(iterate_json_list(path)) == entries


def test_an_empty_list_gives_nothing(tmp_path: Path) -> None:
    path = tmp_path / 'list.json'
    path.write_text(' [ \n ] ')
    assert list(iterate_json_list(path)) == []


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('{"a": 1}', 'must hold a JSON list'),
        ('', 'must hold a JSON list'),
        ('[{"a": 1}', 'the file ends here'),
        ('[{"a": 1}, {"b"', 'entry 1 is not JSON'),
        ('[1, 2', 'entry 1 is not JSON'),
        ('[{"a": 1} {"a": 2}]', 'expected a comma'),
        ('[1] 2', 'more text'),
        ('[1,]', 'entry 1 is not JSON'),
        ('{"a": 1}\n{"a": 2}', 'one record a line is a .jsonl file'),
        ('[1, ' + '[' * 100_000, 'entry 1 is nested too deep'),
        ('[' + '{"a":' * 100_000, 'entry 0 is nested too deep'),
    ],
)
def test_broken_files_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / 'list.json'
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        list(iterate_json_list(path))


def test_a_file_that_is_not_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / 'list.json'
    path.write_bytes(b'[\xff\xfe\xff]')
    with pytest.raises(ValueError, match='not a JSON file'):
        list(iterate_json_list(path))


@pytest.mark.parametrize(
    'read', [lambda path: decode_json(path.read_text()), lambda path: list(iterate_json_list(path))]
)
def test_what_python_would_take_or_refuse_in_silence(tmp_path: Path, read: Callable) -> None:
    path = tmp_path / 'list.json'
    path.write_text('[{"a": 1, "b": 2, "b": 2}, {"a": {"c": 1}}, ' + '9' * 5000 + ', ' + '9' * 30 + ']')
    first, second, huge, large = read(path)
    assert isinstance(first, RepeatedKey)
    assert first.key == 'b'
    assert type(second) is dict
    assert (huge, large) == ('9' * 5000, int('9' * 30))


def test_decoding_too_deep_is_a_value_error() -> None:
    with pytest.raises(ValueError, match='nested too deep'):
        decode_json('[' * 100_000)
