"""The append-only file that a captioning run lives in: whatever ends the run, finished sentences are on disk."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from cmdg_plugin.regions import CAPTION_FILE_ORDER

FORMAT = 1
"""Version of the journal's lines."""


class Journal:
    """One JSON object a line; the first says which settings the answers were made with.

    A line goes to the operating system in one write as soon as its sentence is finished, so that killing the process
    loses nothing. It is forced to the disk (fsync) at most `fsync_seconds` later while sentences come in, and at the
    end: a power failure loses that much. Half a line, left by a kill or a full disk, is cut off when a run opens it.

    Args:
        path: The file; made where absent.
        settings: What the answers depend on.
        fsync_seconds: The longest time between forced writes; 0 forces each line.

    Raises:
        ValueError: If the file belongs to a run with other settings, or is no journal.
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

    def append(self, entry: dict[str, Any]) -> int:
        """Write one line and return where it starts.

        Raises:
            OSError: If the disk is full or fails; the file is left at its last whole line.
        """
        line = json.dumps(entry, ensure_ascii=False, separators=(',', ':')).encode() + b'\n'
        start, written = self._end, 0
        try:
            while written < len(line):
                written += os.write(self._descriptor, line[written:])
        except OSError:
            os.ftruncate(self._descriptor, start)
            raise
        self._end = start + len(line)
        if time.monotonic() - self._last_fsync >= self._fsync_seconds:
            self.flush()
        return start

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

    def __enter__(self) -> 'Journal':
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def sync_folder(folder: Path) -> None:
    """Force a folder to the disk: the names of its files are kept apart from their contents."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_settings(path: Path) -> dict[str, Any]:
    """The settings that a journal was begun with.

    Raises:
        ValueError: If the file is no journal of this format.
    """
    with path.open('rb') as file:
        header = _parse(file.readline(), path, 0)
    if header.get('journal') != FORMAT or not isinstance(header.get('settings'), dict):
        raise ValueError(f'{path} is no captioning journal of format {FORMAT}; its first line is not the header')
    return header['settings']


def read_entries(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Go through a journal's entries behind the header, with the position each starts at; half a last line is left out.

    Raises:
        ValueError: If a whole line is damaged.
    """
    with path.open('rb') as file:
        position = len(file.readline())
        for line in file:
            if not line.endswith(b'\n'):
                return
            entry = _parse(line, path, position)
            if entry.get('region') not in CAPTION_FILE_ORDER or not isinstance(entry.get('path'), str):
                raise ValueError(f'{path} is damaged at byte {position}: {line[:60]!r} names no image and region')
            yield position, entry
            position += len(line)


def read_entry(path_descriptor: int, position: int) -> dict[str, Any]:
    """The one entry that starts at a position of an open journal."""
    data = b''
    while b'\n' not in data:
        chunk = os.pread(path_descriptor, 2048, position + len(data))
        if not chunk:
            raise ValueError(f'the journal ends before position {position}; it was changed while being read')
        data += chunk
    return json.loads(data[: data.index(b'\n')])


def _parse(line: bytes, path: Path, position: int) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except ValueError as error:
        raise ValueError(f'{path} is damaged at byte {position}: {line[:60]!r} is no JSON ({error})') from error
    if not isinstance(entry, dict):
        raise ValueError(f'{path} is damaged at byte {position}: expected an object, got {line[:60]!r}')
    return entry


def _end_of_whole_lines(path: Path) -> int:
    """Where the last line ends that is whole; blocks that a power failure left empty are no lines."""
    with path.open('rb') as file:
        end = file.seek(0, os.SEEK_END)
        while end:
            start = max(0, end - 4096)
            file.seek(start)
            chunk = file.read(end - start)
            at = chunk.rfind(b'\n')
            if at >= 0:
                return start + at + 1
            end = start
    return 0


def _check_settings(path: Path, settings: dict[str, Any]) -> None:
    found = read_settings(path)
    different = [key for key in sorted({*found, *settings}) if found.get(key) != settings.get(key)]
    if different:
        changes = '; '.join(f'{key} was {found.get(key)!r}, now {settings.get(key)!r}' for key in different)
        raise ValueError(
            f'{path} belongs to a run with other settings: {changes}. '
            'Give the same settings to continue it, or another --out to start afresh'
        )
