"""Text of which all that is there can be seen."""

import pytest

from cmdg_plugin.captioning.plain_text import drop_escape_codes, drop_invisible, is_plain, is_text, one_line


@pytest.mark.parametrize(
    ('text', 'left'),
    [
        ('\x1b[1;31mred\x1b[0m', 'red'),
        ('\x1b]0;a title\x07red', 'red'),
        ('\x9b2Kred', 'red'),
        # Without the escape character, which was lost on the way.
        ('[31mred[0m', 'red'),
        ('a [note] stays', 'a [note] stays'),
    ],
)
def test_escape_codes(text: str, left: str) -> None:
    assert drop_escape_codes(text) == left


@pytest.mark.parametrize(
    ('text', 'left'),
    [
        ('plain', 'plain'),
        ('line\n\tand tab\r', 'line\n\tand tab\r'),
        ('a\u200bb\u202ec\ufeffd\x00e\ud800f', 'abcdef'),
        # Letters and symbols in name that every font draws as nothing.
        ('a\u3164b\u2800c', 'abc'),
        # A mark that a letter takes in stays with it; one on its own goes.
        ('e\u0301 \u0301', '\u00e9 '),
    ],
)
def test_what_cannot_be_seen(text: str, left: str) -> None:
    assert drop_invisible(text) == left


def test_messages_on_one_line() -> None:
    assert one_line('\x1b[31mno\n  such\u200b model\x1b[0m ') == 'no such model'
    assert one_line('x' * 301) == 'x' * 300 + '...'
    assert one_line('abcdef', most=3) == 'abc...'


@pytest.mark.parametrize('value', ['', 'a\ud800', None, 7, b'a'])
def test_what_no_file_can_hold(value: object) -> None:
    assert not is_text(value)
    assert is_text('a\nb')


@pytest.mark.parametrize('text', ['', ' a', 'a ', 'a\nb', 'a\x00', '\u200b'])
def test_what_is_not_one_printable_line(text: str) -> None:
    assert not is_plain(text)
    assert is_plain('a b')
