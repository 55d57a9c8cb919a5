"""Lines for the log of whatever runs: MMEngine's current logger, which the tools set up."""

import logging

from mmengine.logging import print_log


def say(line: str) -> None:
    """Write a line to the log."""
    print_log(line, logger='current')


def warn(line: str) -> None:
    """Write a warning to the log: the work goes on, and the user should know."""
    print_log(line, logger='current', level=logging.WARNING)


def complain(line: str) -> None:
    """Write an error to the log: what was asked for cannot be done."""
    print_log(line, logger='current', level=logging.ERROR)
