import logging

from cmdg_plugin.engine.log_filters import stage_name_in_log, without_repeated_lines


def test_lines_begin_with_the_stage_inside_the_context_only(caplog):
    logger = logging.getLogger('stage-test')
    stage = 'warmup'
    with caplog.at_level(logging.INFO, 'stage-test'):
        with stage_name_in_log(logger, lambda: stage):
            logger.info('first')
            stage = 'prompt'
            logger.info('second %d', 2)
        logger.info('third')
    assert caplog.messages == ['[warmup] first', '[prompt] second 2', 'third']


def test_the_same_line_is_said_once_inside_the_context_only(caplog):
    logger = logging.getLogger('repeated-test')
    with caplog.at_level(logging.INFO, 'repeated-test'):
        with without_repeated_lines(logger):
            for name in ('a', 'a', 'b', 'a'):
                logger.info('read %s', name)
        logger.info('read %s', 'a')
    assert caplog.messages == ['read a', 'read b', 'read a']
