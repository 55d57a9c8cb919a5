"""Lines for the log of whatever runs (MMEngine's current logger, which the tools set up) and for terminals."""

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


def printable(text: str, keep: str = '') -> str:
    r"""A text as a terminal may show it: what would move its cursor, or color it, is written as `\x1b`.

    Args:
        text: From anywhere, such as the name of a file.
        keep: Characters that stay, such as the end of a line.
    """
    return ''.join(c if c.isprintable() or c in keep else c.encode('unicode_escape').decode() for c in text)
