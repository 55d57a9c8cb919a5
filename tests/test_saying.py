import logging

import pytest
from mmengine.logging import MMLogger

from cmdg_plugin.saying import complain, first_of, keep_lines, on_one_line, printable, say, say_again, warn


def test_lines_go_to_the_current_logger_each_at_its_level() -> None:
    records: list[logging.LogRecord] = []
    logger = MMLogger.get_current_instance()
    logger.addFilter(records.append)
    try:
        say('read')
        warn('odd')
        complain('wrong')
    finally:
        logger.removeFilter(records.append)
    assert [(record.levelname, record.getMessage()) for record in records] == [
        ('INFO', 'read'),
        ('WARNING', 'odd'),
        ('ERROR', 'wrong'),
    ]


def test_lines_are_kept_and_said_again(log: pytest.LogCaptureFixture) -> None:
    say('before')
    with keep_lines() as kept:
        say('read')
        with keep_lines() as inner:
            warn('odd')
        say('more')
    say('after')
    assert kept == [('read', logging.INFO), ('odd', logging.WARNING), ('more', logging.INFO)]
    assert inner == [('odd', logging.WARNING)]
    log.clear()
    say_again(kept)
    assert [(record.getMessage(), record.levelno) for record in log.records] == kept


def test_of_many_names_the_first_and_how_many_more() -> None:
    assert first_of(['a', 'b', 'c']) == 'a, b, c'
    assert first_of(['a', 'b', 'c', 'd'], 2, '; ') == 'a; b, and 2 more'


def test_what_a_terminal_would_obey_is_written_out() -> None:
    assert printable('Zoë 人 \x1b[2J\n\u202e\r') == r'Zoë 人 \x1b[2J\n\u202e\r'
    assert printable('one\ntwo\x07', keep='\n') == 'one\ntwo\\x07'


def test_errors_of_others_on_one_line() -> None:
    assert on_one_line(ValueError('no\n  such\tfile')) == 'no such file'
    assert on_one_line('x' * 1000) == 'x' * 300
