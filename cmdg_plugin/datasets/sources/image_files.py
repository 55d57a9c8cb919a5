"""Which of the indexed images exist, and what the folder should have looked like if they do not."""

import os
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from cmdg_plugin.files.listing import open_folder

_SHOWN = 12
_NOT_THERE = (FileNotFoundError, NotADirectoryError)


def find_missing(root: str | Path, paths: Iterable[str]) -> list[str]:
    """List the relative paths that no file below `root` answers to.

    Every folder is listed once instead of asking for each file, which is what makes 100,000 images on a network drive
    bearable.
    """
    by_folder: dict[str, list[str]] = defaultdict(list)
    for path in dict.fromkeys(paths):
        folder, _, name = path.rpartition('/')
        by_folder[folder].append(name)
    missing: list[str] = []
    for folder, names in by_folder.items():
        present = _list_folder(Path(root) / folder)
        missing.extend(f'{folder}/{name}'.lstrip('/') for name in names if name not in present)
    return missing


def find_alike(root: str | Path, path: str) -> str:
    """Find a file that is called so but for the case of letters or how accents are encoded, as systems write them.

    Args:
        root: Folder that the path is relative to.
        path: Relative path of an image that does not exist.

    Returns:
        Its path below the root; '' if there is none, or its folder has another name.
    """
    folder, _, name = path.rpartition('/')
    alike = (other for other in sorted(_list_folder(Path(root) / folder)) if _fold(other) == _fold(name))
    return next((f'{folder}/{other}'.lstrip('/') for other in alike), '')


def _fold(name: str) -> str:
    return unicodedata.normalize('NFC', name).casefold()


class MissingImages(FileNotFoundError):
    """Images that are listed and do not exist.

    Attributes:
        paths: All of them.
    """

    def __init__(self, message: str, paths: Sequence[str]) -> None:
        super().__init__(message)
        self.paths = tuple(paths)


def draw_expected_tree(root: str | Path, paths: Iterable[str]) -> str:
    """Draw the folders that the paths ask for, each with an example and a count.

    Args:
        root: Folder that the paths are relative to.
        paths: Relative paths of images.
    """
    groups: dict[str, list[str]] = defaultdict(list)
    for path in dict.fromkeys(paths):
        folder, _, name = path.rpartition('/')
        # Datasets such as MSMT17 keep one folder per person: the upper two levels tell enough.
        groups['/'.join(folder.split('/')[:2])].append(path if name else folder)
    lines = [f'{root}/']
    for folder, members in list(groups.items())[:_SHOWN]:
        where = f'{folder}/' if folder else ''
        inside = members[0][len(where) :]
        lines.append(f'  {where}{inside}  ({len(members):,} images)')
    if len(groups) > _SHOWN:
        lines.append(f'  ... and {len(groups) - _SHOWN:,} more folders')
    return '\n'.join(lines)


def _list_folder(folder: Path) -> set[str]:
    try:
        with open_folder(folder) as entries:
            return {entry.name for entry in entries}
    except _NOT_THERE:
        return set()


def locate(paths: Iterable[str]) -> list[str]:
    """Find where files really lie, links followed; one listing per folder.

    Args:
        paths: Absolute paths, or relative to the current folder; what does not exist stays as it is.
    """
    folders: dict[str, tuple[str, frozenset[str]]] = {}
    places = []
    for path in paths:
        folder, name = os.path.split(path)
        if folder not in folders:
            folders[folder] = (os.path.realpath(folder), _find_links(folder))
        real, links = folders[folder]
        places.append(os.path.realpath(path) if name in links else f'{real}/{name}')
    return places


def _find_links(folder: str) -> frozenset[str]:
    try:
        with open_folder(folder or '.') as entries:
            return frozenset(entry.name for entry in entries if entry.is_symlink())
    except _NOT_THERE:
        return frozenset()
