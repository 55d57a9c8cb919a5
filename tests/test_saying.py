import logging

from mmengine.logging import MMLogger

from cmdg_plugin.saying import complain, say, warn


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
