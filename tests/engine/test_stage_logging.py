import logging

from cmdg_plugin.engine.stage_logging import StageNameInLog


def test_lines_begin_with_the_stage_inside_the_context_only(caplog):
    logger = logging.getLogger('stage-test')
    stage = 'warmup'
    with caplog.at_level(logging.INFO, 'stage-test'):
        with StageNameInLog(logger, lambda: stage):
            logger.info('first')
            stage = 'prompt'
            logger.info('second %d', 2)
        logger.info('third')
    assert caplog.messages == ['[warmup] first', '[prompt] second 2', 'third']
