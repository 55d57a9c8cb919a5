"""What is looked at on disk while something is made of it, so that a later start can tell whether any of it changed.

Whoever reads a file, lists a folder or looks whether something is there says so first, by the functions of this module.
They cost nothing unless somebody collects.
"""

import hashlib
import os
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from cmdg_plugin.files.images import IMAGE_SUFFIXES

SETTLED = 3.0
"""Seconds that something must have been left alone: two changes within the grain of a clock (2 s on FAT, 1 s on old
network drives) leave one time."""

_Path = str | os.PathLike[str]
_State = list[Any]
_ABSENT: _State = ['absent']


class Witness:
    """The state of whatever was looked at, as it was just before.

    Attributes:
        strangers: Names of things made of files that nobody named.
    """

    def __init__(self) -> None:
        self.strangers: list[str] = []
        self._began = time.time()
        self._contents: dict[str, _State] = {}
        self._kinds: dict[str, _State] = {}

    def see(self, path: str) -> None:
        """Remember a file that is about to be read, or a folder that is about to be listed."""
        if path not in self._contents:
            self._contents[path] = _content(path)

    def look_for(self, path: str) -> None:
        """Remember whether a path is a file, a folder or nothing."""
        self._kinds.setdefault(path, _content(path, listed=False)[:1])

    def folders(self) -> list[str]:
        """Folders that were listed."""
        return [path for path, state in self._contents.items() if state[0] == 'folder']

    def doubt(self) -> str:
        """Look at everything again; say why a change might go unnoticed, or nothing."""
        for folder in self.folders():
            for place in _linked_folders(folder):
                self.see(place)
        if change := find_change(self.record()):
            return f'{change} since indexing began'
        latest = (self._began - SETTLED) * 1e9
        young = [path for path, state in self._contents.items() if max(state[2:], default=0) > latest]
        if young:
            return f'{young[0]} changed less than {SETTLED:g} s before, or has a time of change in the future'
        return ''

    def record(self) -> dict[str, Any]:
        """Return all that was seen, as JSON can hold it."""
        parents = {os.path.dirname(path) for path in (*self._contents, *self._kinds)}
        places = {parent: os.path.realpath(parent) for parent in parents}
        return {'contents': self._contents, 'kinds': self._kinds, 'places': places}


def find_change(record: Mapping[str, Any]) -> str:
    """Say what of a record is no longer so; nothing if all is.

    A folder counts by the names in it and its times, a file by its size and times; of both, the time of the last change
    of status, too, which nobody can set back.
    """
    for path, before in record['contents'].items():
        if (now := _content(path)) != before:
            return f'{path} {_tell(before, now)}'
    for path, before in record['kinds'].items():
        if (now := _content(path, listed=False)[:1]) != before:
            return f'{path} {_tell(before, now)}'
    for path, before in record['places'].items():
        if os.path.realpath(path) != before:
            return f'{path or "."} leads elsewhere'
    return ''


_collecting: list[Witness] = []


@contextmanager
def collecting() -> Iterator[Witness]:
    """Collect what is noted meanwhile.

    Yields:
        What will have been noted.
    """
    witness = Witness()
    _collecting.append(witness)
    try:
        yield witness
    finally:
        _collecting.remove(witness)


def note(path: _Path) -> None:
    """Note a file that is about to be read, or a folder that is about to be listed, whether it is there or not."""
    for witness in _collecting:
        witness.see(os.fspath(path))


def note_tree(folder: _Path) -> None:
    """Note a folder, the folders below it, and the files in them that are not images, which others are about to read.

    Links to folders are followed; a folder that several lead to is gone through once.
    """
    if not _collecting:
        return
    note(folder)
    gone_through = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in gone_through:
            folders.clear()
            continue
        gone_through.add(real)
        others = [name for name in names if os.path.splitext(name)[1].lower() not in IMAGE_SUFFIXES]
        for name in (*folders, *others):
            note(os.path.join(place, name))


def note_stranger(name: str) -> None:
    """Note something made of files that nobody names."""
    for witness in _collecting:
        witness.strangers.append(name)


def is_file(path: _Path) -> bool:
    """Whether there is such a file; noted."""
    return _looked_for(path).is_file()


def is_folder(path: _Path) -> bool:
    """Whether there is such a folder; noted."""
    return _looked_for(path).is_dir()


def exists(path: _Path) -> bool:
    """Whether there is anything; noted."""
    return _looked_for(path).exists()


def _looked_for(path: _Path) -> Path:
    for witness in _collecting:
        witness.look_for(os.fspath(path))
    return Path(path)


def _content(path: str, listed: bool = True) -> _State:
    """Return kind, size or names, and times of what lies there, links followed."""
    try:
        status = os.stat(path)
        if not stat.S_ISDIR(status.st_mode):
            kind = 'file' if stat.S_ISREG(status.st_mode) else 'other'
            return [kind, status.st_size, status.st_mtime_ns, status.st_ctime_ns]
        # Some network drives do not change a folder's times with what is in it.
        names = os.fsencode('\0'.join(sorted(os.listdir(path)))) if listed else b''
    except (FileNotFoundError, NotADirectoryError):
        return _ABSENT
    except (OSError, ValueError) as error:
        # Not to be read, or no name at all: also a state that may pass.
        return ['unreadable', str(error)]
    return ['folder', hashlib.sha256(names).hexdigest(), status.st_mtime_ns, status.st_ctime_ns]


def _tell(before: _State, now: _State) -> str:
    if before == _ABSENT:
        return 'is new'
    return 'is gone' if now == _ABSENT else 'has changed'


def _linked_folders(folder: str) -> set[str]:
    """Folders in which links in this one end, or pass by further links."""
    found = set()
    # Of what is gone meanwhile, the state of its folder tells.
    with suppress(OSError):
        with os.scandir(folder) as entries:
            links = [entry.path for entry in entries if entry.is_symlink()]
        for path in links:
            passed = set()
            while os.path.islink(path) and path not in passed:
                passed.add(path)
                path = os.path.join(os.path.dirname(path), os.readlink(path))
                found.add(os.path.dirname(path))
    return found
