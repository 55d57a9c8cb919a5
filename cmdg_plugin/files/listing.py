"""The image files below a folder, and a count of everything that is left out."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from cmdg_plugin.files.images import IMAGE_SUFFIXES
from cmdg_plugin.files.witness import note
from cmdg_plugin.saying import say, warn

_SHOWN = 8
_Folder = tuple[int, int]


def open_folder(folder: str | os.PathLike[str]) -> 'os._ScandirIterator[str]':
    """Open a folder for going through its entries.

    Raises:
        FileNotFoundError: If there is no such folder.
        NotADirectoryError: If it is a file.
        ValueError: If it may not be read, or a link to it leads nowhere but to itself.
    """
    note(folder)
    try:
        return os.scandir(folder)
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        raise ValueError(f'The folder {os.fspath(folder)} cannot be listed ({error.strerror}).') from error


class FolderListing:
    """Goes through the image files of a folder and its subfolders, in no particular order, without holding them all.

    Links to folders are followed, unless they lead back to a folder that they lie in. What is not an image by its
    ending (`IMAGE_SUFFIXES`), hidden (a name that begins with a dot) or a link to nothing is left out and counted.

    Attributes:
        used: Number of image files so far.
        left_out: Number of files and folders left out so far, by what they are.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root)
        self.used = 0
        self.left_out: Counter[str] = Counter()

    def __iter__(self) -> Iterator[str]:
        """Give each image file's path below the root, with forward slashes.

        Raises:
            FileNotFoundError: If there is no such folder.
            ValueError: If a folder cannot be listed.
        """
        self.used, self.left_out = 0, Counter()
        folders: list[tuple[str, frozenset[_Folder]]] = [('', frozenset())]
        while folders:
            below, above = folders.pop()
            place = self.root / below
            status = os.stat(place)
            own = (status.st_dev, status.st_ino)
            if own in above:
                self.left_out['link back to a folder above it'] += 1
                continue
            with open_folder(place) as entries:
                for entry in entries:
                    name = f'{below}/{entry.name}' if below else entry.name
                    if entry.name.startswith('.'):
                        self.left_out['hidden'] += 1
                    elif _is_folder(entry):
                        folders.append((name, above | {own}))
                    elif why := _why_not(entry):
                        self.left_out[why] += 1
                    else:
                        self.used += 1
                        yield name

    def __str__(self) -> str:
        """Say in one line how many files were listed, used and left out."""
        listed = self.used + sum(self.left_out.values())
        text = f'{self.root}: listed {listed:,} files, used {self.used:,} as images'
        if not self.left_out:
            return text
        kinds = [f'{count:,} {what}' for what, count in self.left_out.most_common()]
        shown = ', '.join(kinds[:_SHOWN] if len(kinds) <= _SHOWN else [*kinds[:_SHOWN], '...'])
        return f'{text}, left out {listed - self.used:,}: {shown}'

    def log(self) -> None:
        """Log that line; a warning if anything was left out."""
        if self.left_out:
            warn(str(self))
        else:
            say(str(self))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        # A link that leads to itself.
        return False


def _why_not(entry: os.DirEntry[str]) -> str:
    """Why a directory entry does not count as an image; '' if it does."""
    suffix = os.path.splitext(entry.name)[1].lower()
    if suffix not in IMAGE_SUFFIXES:
        # A log cannot be written with what is not UTF-8.
        return suffix.encode(errors='backslashreplace').decode() or 'without ending'
    # Also of a link that leads to itself, which `is_file` of the entry cannot be asked about.
    if os.path.isfile(entry.path):
        return ''
    return 'broken link' if entry.is_symlink() else 'not a file'
