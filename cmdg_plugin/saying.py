"""Lines for the log of whatever runs (MMEngine's current logger, which the tools set up) and for terminals."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from mmengine.logging import print_log

Line = tuple[str, int]
"""What is said, and its level."""

_LONGEST = 300
_kept: list[list[Line]] = []


def say(line: str) -> None:
    """Write a line to the log."""
    _write(line, logging.INFO)


def warn(line: str) -> None:
    """Write a warning to the log: the work goes on, and the user should know."""
    _write(line, logging.WARNING)


def complain(line: str) -> None:
    """Write an error to the log: what was asked for cannot be done."""
    _write(line, logging.ERROR)


@contextmanager
def keep_lines() -> Iterator[list[Line]]:
    """Keep what is said meanwhile.

    Yields:
        The lines, which go to the log as ever.
    """
    lines: list[Line] = []
    _kept.append(lines)
    try:
        yield lines
    finally:
        # By identity: two that heard the same are equal.
        _kept[:] = [other for other in _kept if other is not lines]


def say_again(lines: Iterable[Line]) -> None:
    """Write lines that were kept, each at its level."""
    for line, level in lines:
        _write(line, level)


def first_of(items: Sequence[str], number: int = 3, separator: str = ', ') -> str:
    """The first of many names, and how many more there are, for a message."""
    more = f', and {len(items) - number} more' if len(items) > number else ''
    return separator.join(items[:number]) + more


def on_one_line(error: object) -> str:
    """What an error of another package says, on one line and not too long."""
    return ' '.join(str(error).split())[:_LONGEST]


def printable(text: str, keep: str = '') -> str:
    r"""A text as a terminal may show it: what would move its cursor, or color it, is written as `\x1b`.

    Args:
        text: From anywhere, such as the name of a file.
        keep: Characters that stay, such as the end of a line.
    """
    return ''.join(c if c.isprintable() or c in keep else c.encode('unicode_escape').decode() for c in text)


def _write(line: str, level: int) -> None:
    print_log(line, logger='current', level=level)
    for lines in _kept:
        lines.append((line, level))
