"""The stage's name in every line of the log and in the name of every curve."""

import logging
from collections.abc import Callable
from types import TracebackType

from mmengine.runner import LogProcessor, Runner

from cmdg_plugin.registry import LOG_PROCESSORS


class StageNameInLog:
    """Context in which each line of a logger begins with the current stage in brackets.

    Args:
        logger: The run's logger.
        current_stage: Gives the stage's name when a line is written.
    """

    def __init__(self, logger: logging.Logger, current_stage: Callable[[], str]) -> None:
        self._logger = logger
        self._current_stage = current_stage

    def _prefix(self, record: logging.LogRecord) -> bool:
        record.msg = f'[{self._current_stage()}] {record.msg}'
        return True

    def __enter__(self) -> None:
        self._logger.addFilter(self._prefix)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._logger.removeFilter(self._prefix)


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
