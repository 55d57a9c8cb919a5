"""MMEngine's runner with a console that fits on a screen."""

from typing import Any

from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from cmdg_plugin.engine.log_filters import show_less_on_console
from cmdg_plugin.threads import limit_threads


class QuietRunner(Runner):
    """Runner whose environment, config and hooks are listed in the log file alone."""

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        """Build the logger; see the base class."""
        logger = super().build_logger(*args, **kwargs)
        show_less_on_console(logger)
        logger.info(f'Environment, config and hooks of this run stand in {logger.log_file}')
        return logger


def build_runner(config: Config) -> Runner:
    """Build the runner that a config names, or the quiet one, to compute on the cores that the process may use."""
    limit_threads()
    return RUNNERS.build(config) if 'runner_type' in config else QuietRunner.from_cfg(config)
