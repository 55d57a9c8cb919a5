"""Which of the indexed images exist, and what the folder should have looked like if they do not."""

import os
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from cmdg_plugin.files.listing import open_folder
from cmdg_plugin.saying import warn

_SHOWN = 12


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
        present = {entry.name for entry in _entries(Path(root) / folder)}
        missing.extend(f'{folder}/{name}'.lstrip('/') for name in names if name not in present)
    return missing


def find_alike(root: str | Path, path: str) -> str:
    """Find a file that is called so but for the case of letters or how accents are encoded, as systems write them.

    Returns:
        Its path below the root; '' if there is none, or its folder has another name.
    """
    folder, _, name = path.rpartition('/')
    others = sorted(entry.name for entry in _entries(Path(root) / folder))
    return next((f'{folder}/{other}'.lstrip('/') for other in others if _fold(other) == _fold(name)), '')


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


def leave_out_missing(
    name: str, root: Path, paths: Collection[str], on_missing: str, listed_in: str, *, show_tree: bool = False
) -> set[str]:
    """Find images that do not exist: refuse them, or log how many are left out.

    Args:
        name: Name of the dataset.
        root: Folder that paths are relative to.
        paths: What is listed.
        on_missing: `'error'` or `'skip'`.
        listed_in: Who lists them, for messages.
        show_tree: Whether an error shows the expected folders.

    Returns:
        Paths of the images to leave out.

    Raises:
        MissingImages: If an image is not there and may not be left out, or none is there.
    """
    missing = find_missing(root, paths)
    if not missing:
        return set()
    found = f'{name}: {len(missing):,} of {len(paths):,} images {listed_in} do not exist'
    if on_missing == 'error' or len(missing) == len(paths):
        tree = f' Expected layout:\n{draw_expected_tree(root, paths)}' if show_tree else ''
        raise MissingImages(
            f'{found}, the first is {root / missing[0]}{_hint(root, missing[0])}. Complete the dataset, or leave them '
            f"out with on_missing_image='skip'.{tree}",
            [str(root / path) for path in missing],
        )
    warn(f'{found}; left out')
    return set(missing)


def _hint(root: Path, path: str) -> str:
    if os.path.exists(f'/{path}'):
        return f' (there is a /{path}, outside the root)'
    alike = find_alike(root, path)
    return f' (there is {alike!a}, which differs in case or in how accents are written)' if alike else ''


def draw_expected_tree(root: str | Path, paths: Iterable[str]) -> str:
    """Draw the folders that the paths ask for, each with an example and a count."""
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
            links = frozenset(entry.name for entry in _entries(folder or '.') if entry.is_symlink())
            folders[folder] = (os.path.realpath(folder), links)
        real, links = folders[folder]
        places.append(os.path.realpath(path) if name in links else f'{real}/{name}')
    return places


def _entries(folder: str | Path) -> list[os.DirEntry[str]]:
    """What stands in a folder; nothing where there is none."""
    try:
        with open_folder(folder) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []
