"""What a logger's lines say more or less while a context lasts."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_PER_PARAMETER = ('requires_grad=False', 'paramwise_options')
_NOT_FOR_THE_CONSOLE = (
    *_PER_PARAMETER,
    'System environment:',
    'Config:\n',
    'Hooks will be executed in the following order:',
    'Distributed training is not used, all SyncBatchNorm',
    '"FileClient" will be deprecated',
    'Exp name: ',
)


@contextmanager
def stage_name_in_log(logger: logging.Logger, current_stage: Callable[[], str]) -> Iterator[None]:
    """Context in which each line of a logger begins with the current stage in brackets."""

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
    with _filtered(logger, lambda record: not any(text in record.getMessage() for text in _PER_PARAMETER)):
        yield


@contextmanager
def without_repeated_lines(logger: logging.Logger) -> Iterator[None]:
    """Context in which a logger says the same line once, as where one config is read for many runs."""
    said: set[str] = set()

    def is_new(record: logging.LogRecord) -> bool:
        line = record.getMessage()
        repeated = line in said
        said.add(line)
        return not repeated

    with _filtered(logger, is_new):
        yield


@contextmanager
def _filtered(logger: logging.Logger, accept: Callable[[logging.LogRecord], bool]) -> Iterator[None]:
    logger.addFilter(accept)
    try:
        yield
    finally:
        logger.removeFilter(accept)


def show_less_on_console(logger: logging.Logger) -> None:
    """Keep what MMEngine lists before a run (environment, config, hooks) off the console; it stays in the log file.

    At level DEBUG the console shows all of it.
    """
    for handler in logger.handlers:
        if not isinstance(handler, logging.FileHandler) and handler.level > logging.DEBUG:
            handler.addFilter(_is_for_the_console)


def _is_for_the_console(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR or not any(text in record.getMessage() for text in _NOT_FOR_THE_CONSOLE)
