import json

import pytest

from cmdg_plugin.captioning.journal_lines import LONGEST_LINE, parse_entry, parse_object

GOOD = {'path': 'a', 'region': 'upper', 'caption': 'A red coat.'}
FAILED = {'path': 'a', 'region': 'upper', 'failure': 'no'}


@pytest.mark.parametrize(
    ('line', 'said'),
    [
        ({'path': 'a'}, 'expected a region'),
        ({'region': 'upper'}, 'expected the path of an image, got nothing'),
        ({**GOOD, 'region': 'hat'}, 'expected a region'),
        ({**GOOD, 'region': ['upper']}, 'got a list'),
        ({**GOOD, 'path': 5}, 'got a int'),
        ({**GOOD, 'path': ''}, 'expected the path'),
        ({**GOOD, 'path': '\ud800'}, 'expected the path'),
        ({'path': 'a', 'region': 'upper'}, 'either a caption or a failure'),
        ({**GOOD, 'failure': 'no'}, 'either a caption or a failure'),
        ({**GOOD, 'caption': None}, 'as caption, got a NoneType'),
        ({**GOOD, 'caption': ['A red coat.']}, 'as caption, got a list'),
        ({**GOOD, 'caption': ''}, 'as caption'),
        ({**GOOD, 'caption': ' \n'}, 'as caption'),
        ({**GOOD, 'caption': 'a\x1b[31m'}, 'as caption'),
        ({**GOOD, 'caption': 'a\ud800'}, 'as caption'),
        ({**GOOD, 'caption': 'a' * 5001}, 'as caption'),
        ({**FAILED, 'failure': {}}, 'expected text as failure, got a dict'),
        ({**GOOD, 'fixes': 'markup'}, 'list of names as fixes'),
        ({**GOOD, 'problems': [1]}, 'list of names as problems'),
        ({**FAILED, 'unreadable': 'yes'}, 'true or false'),
        ({**GOOD, 'size': 1.5}, 'whole number as size, got a float'),
        ({**GOOD, 'changed': True}, 'whole number as changed, got a bool'),
        ({**GOOD, 'more': 1}, "unknown key 'more'"),
        (b'[]', 'expected an object'),
        (b'{"path":"a","path":"b","region":"upper","caption":"A red coat."}', "names the key 'path' twice"),
        (b'{"path":' + b'[' * 100_000, 'not JSON'),
        (b'{"path":' + b'9' * 5000 + b'}', 'not JSON'),
        (b'{"path":"\xff"}', 'not JSON'),
    ],
)
def test_what_this_tool_never_writes_is_refused(line: bytes | dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_entry((line if isinstance(line, bytes) else json.dumps(line).encode()) + b'\n')


@pytest.mark.parametrize(
    'entry',
    [GOOD, FAILED, {**GOOD, 'size': 5, 'changed': 1_700_000_000, 'fixes': ['markup'], 'problems': ['refused']}],
)
def test_what_it_writes_is_read(entry: dict) -> None:
    assert parse_entry(json.dumps(entry).encode() + b'\n') == entry


def test_a_line_without_its_end_is_too_long() -> None:
    with pytest.raises(ValueError, match=f'longer than {LONGEST_LINE} bytes'):
        parse_object(b'{}')
