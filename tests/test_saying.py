import logging

from mmengine.logging import MMLogger

from cmdg_plugin.saying import complain, printable, say, warn


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


def test_what_a_terminal_would_obey_is_written_out() -> None:
    assert printable('Zoë 人 \x1b[2J\n\u202e\r') == r'Zoë 人 \x1b[2J\n\u202e\r'
    assert printable('one\ntwo\x07', keep='\n') == 'one\ntwo\\x07'
