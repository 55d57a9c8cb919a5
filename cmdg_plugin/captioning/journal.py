"""The append-only file that a captioning run lives in: whatever ends the run, finished sentences are on disk."""

import json
import mmap
import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from cmdg_plugin.captioning.journal_lines import LONGEST_LINE, parse_entry, parse_object
from cmdg_plugin.files.writing import sync_folder
from cmdg_plugin.saying import warn

FORMAT = 1
"""Version of the journal's lines."""

_NAMED = 5


class Journal(AbstractContextManager):
    """One JSON object a line; the first says which settings the answers were made with.

    A line goes to the operating system in one write as soon as its sentence is finished, so that killing the process
    loses nothing. It is forced to the disk (fsync) at most `fsync_seconds` later while sentences come in, and at the
    end: a power failure loses that much. Half a line, left by a kill or a full disk, is cut off when a run opens it.

    Args:
        path: The file; made where absent.
        settings: What the answers depend on.
        fsync_seconds: The longest time between forced writes; 0 forces each line.

    Raises:
        ValueError: If the file belongs to a run with other settings, or is not a journal.
    """

    def __init__(self, path: Path, settings: dict[str, Any], fsync_seconds: float = 1.0) -> None:
        self.path = path
        self._fsync_seconds = fsync_seconds
        self._last_fsync = time.monotonic()
        whole = _end_of_whole_lines(path) if path.exists() else 0
        if whole:
            _check_settings(path, settings)
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._end = whole
        os.ftruncate(self._descriptor, whole)
        if not whole:
            self.append({'journal': FORMAT, 'settings': settings})
            self.flush()
            sync_folder(path.parent)

    def append(self, entry: dict[str, Any]) -> None:
        """Write one line.

        Raises:
            OSError: If the disk is full or fails; the file is left at its last whole line.
        """
        line = json.dumps(entry, ensure_ascii=False, separators=(',', ':')).encode() + b'\n'
        written = 0
        try:
            while written < len(line):
                written += os.write(self._descriptor, line[written:])
        except OSError:
            os.ftruncate(self._descriptor, self._end)
            raise
        self._end += len(line)
        if time.monotonic() - self._last_fsync >= self._fsync_seconds:
            self.flush()

    def flush(self) -> None:
        """Force everything written so far to the disk."""
        os.fsync(self._descriptor)
        self._last_fsync = time.monotonic()

    def close(self) -> None:
        """Force what was written to the disk and close the file."""
        try:
            self.flush()
        finally:
            os.close(self._descriptor)

    def __exit__(self, *raised: Any) -> None:
        self.close()


def read_settings(path: Path) -> dict[str, Any]:
    """The settings that a journal was begun with.

    Raises:
        ValueError: If the file is not a journal of this format.
    """
    with path.open('rb') as file:
        line = file.readline(LONGEST_LINE)
    try:
        header = parse_object(line)
    except ValueError as error:
        raise ValueError(f'the first line of {path} is damaged: {error}; give another --out to start afresh.') from None
    if header.get('journal') != FORMAT or not isinstance(header.get('settings'), dict):
        raise ValueError(f'{path} is not a captioning journal of format {FORMAT}; its first line is not the header.')
    return header['settings']


def read_entries(path: Path) -> Iterator[dict[str, Any]]:
    """Go through a journal's entries after the header.

    Half a last line is left out. So are lines that are not as this tool writes them; at the end, one warning counts
    them and names the first few.
    """
    wrong: list[str] = []
    count = 0
    for number, position, line in _lines(path):
        try:
            yield parse_entry(line)
        except ValueError as error:
            count += 1
            if count <= _NAMED:
                wrong.append(f'line {number} (byte {position}): {error}')
    if count:
        more = f'; and {count - _NAMED} more' if count > _NAMED else ''
        warn(
            f'{count} lines of {path} are damaged and left out, so what they were about is asked again unless another '
            f'line holds it: {"; ".join(wrong)}{more}'
        )


def _lines(path: Path) -> Iterator[tuple[int, int, bytes]]:
    """Number, position and content of each whole line after the first; of one that is too long, the beginning."""
    with path.open('rb') as file:
        number = position = 0
        while (line := file.readline(LONGEST_LINE)).endswith(b'\n') or len(line) == LONGEST_LINE:
            number, start, beginning = number + 1, position, line
            while not line.endswith(b'\n'):
                position += len(line)
                if not (line := file.readline(LONGEST_LINE)):
                    return
            position += len(line)
            if number > 1:
                yield number, start, beginning


def _end_of_whole_lines(path: Path) -> int:
    """Where the last line ends that is whole; blocks that a power failure left empty are not lines."""
    if not path.stat().st_size:
        return 0
    with path.open('rb') as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.rfind(b'\n') + 1


def _check_settings(path: Path, settings: dict[str, Any]) -> None:
    found = read_settings(path)
    different = [key for key in sorted({*found, *settings}) if found.get(key) != settings.get(key)]
    if different:
        changes = '; '.join(f'{key} was {found.get(key)!r}, now {settings.get(key)!r}' for key in different)
        raise ValueError(
            f'{path} belongs to a run with other settings: {changes}. '
            'Give the same settings to continue it, or another --out to start afresh.'
        )
