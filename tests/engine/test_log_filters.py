import logging
from pathlib import Path

import pytest
from mmengine.logging import MMLogger

from cmdg_plugin.engine.log_filters import show_less_on_console, stage_name_in_log, without_repeated_lines


def test_lines_begin_with_the_stage_inside_the_context_only(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger('stage-test')
    stage = 'warmup'
    with caplog.at_level(logging.INFO, 'stage-test'):
        with stage_name_in_log(logger, lambda: stage):
            logger.info('first')
            stage = 'prompt'
            logger.info('second %d', 2)
        logger.info('third')
    assert caplog.messages == ['[warmup] first', '[prompt] second 2', 'third']


def test_the_same_line_is_said_once_inside_the_context_only(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger('repeated-test')
    with caplog.at_level(logging.INFO, 'repeated-test'):
        with without_repeated_lines(logger):
            for name in ('a', 'a', 'b', 'a'):
                logger.info('read %s', name)
        logger.info('read %s', 'a')
    assert caplog.messages == ['read a', 'read b', 'read a']


@pytest.mark.parametrize('level', ['INFO', 'DEBUG'])
def test_what_is_listed_before_a_run_goes_to_the_file_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], level: str
) -> None:
    logger = MMLogger(f'less-{level}', log_file=str(tmp_path / 'run.log'), log_level=level)
    show_less_on_console(logger)
    long = 'Config:\n' + 'a=1\n' * 400
    for line in (long, 'Hooks will be executed in the following order:\nx', 'Stage 1'):
        logger.info(line)
    logger.error('Config:\n is what an error may quote')
    shown, kept = capsys.readouterr().out, (tmp_path / 'run.log').read_text()
    assert long in kept
    assert 'Hooks will be' in kept
    assert (long in shown) == (level == 'DEBUG')
    assert 'Stage 1' in shown
    assert 'an error may quote' in shown
