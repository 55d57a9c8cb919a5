"""The stage's name in every line of the log and in the name of every curve."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mmengine.logging import MessageHub
from mmengine.runner import LogProcessor, Runner

from cmdg_plugin.registry import LOG_PROCESSORS


@contextmanager
def stage_name_in_log(logger: logging.Logger, current_stage: Callable[[], str]) -> Iterator[None]:
    """Context in which each line of a logger begins with the current stage in brackets.

    Args:
        logger: The run's logger.
        current_stage: Gives the stage's name when a line is written.

    Yields:
        Nothing.
    """

    def prefix(record: logging.LogRecord) -> bool:
        record.msg = f'[{current_stage()}] {record.msg}'
        return True

    with _filtered(logger, prefix):
        yield


@contextmanager
def without_lines_per_parameter(logger: logging.Logger) -> Iterator[None]:
    """Context in which MMEngine does not list each frozen or specially treated parameter of an optimizer.

    In a staged run most parameters are frozen at any time; a line for each, at each stage, buries the rest of the log.
    """
    noise = ('requires_grad=False', 'paramwise_options')
    with _filtered(logger, lambda record: not any(text in record.getMessage() for text in noise)):
        yield


@contextmanager
def _filtered(logger: logging.Logger, accept: Callable[[logging.LogRecord], bool]) -> Iterator[None]:
    logger.addFilter(accept)
    try:
        yield
    finally:
        logger.removeFilter(accept)


def forget_losses(hub: MessageHub) -> None:
    """Drop what the previous stage's loss terms reported, which would go on standing in every line of the next one."""
    for name in list(hub.log_scalars):
        mode, _, scalar = name.partition('/')
        # A term without a loss reports numbers as `<its name>/<what>`.
        if mode == 'train' and ('loss' in scalar or '/' in scalar):
            del hub.log_scalars[name]


@LOG_PROCESSORS.register_module()
class StageLogProcessor(LogProcessor):
    """Log processor that files training scalars under the stage they belong to.

    `loss` becomes `warmup/loss`, so that a visualizer draws a curve per stage instead of one curve that jumps.
    Scores, the epoch and the iteration keep their names. Takes MMEngine's own arguments.
    """

    def get_log_after_iter(self, runner: Runner, batch_idx: int, mode: str) -> tuple[dict, str]:
        """Format the log after an iteration; see the base class."""
        tag, text = super().get_log_after_iter(runner, batch_idx, mode)
        stage = getattr(runner.train_loop, 'stage', None) if mode == 'train' else None
        if stage is not None:
            tag = {key if key in ('epoch', 'iter') else f'{stage.name}/{key}': value for key, value in tag.items()}
        return tag, text
