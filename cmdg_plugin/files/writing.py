"""Files that are on disk whole or not at all."""

import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from mmengine.fileio import dump


@contextmanager
def open_whole_bytes(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a file for writing that takes its name only once it is complete and on the disk.

    A process that is killed, or a disk that fills up, leaves what was there before under that name. Missing folders are
    made.

    Yields:
        The file under a name of its own, open for bytes.

    Raises:
        OSError: If it cannot be written; it names the file.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    # The process's number keeps two writers of one file apart.
    unfinished = target.with_name(f'{_shorten(target)}.{os.getpid()}.unfinished')
    try:
        with unfinished.open('wb') as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(target)
    except BaseException as error:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno and error.filename is None:
            # A full disk does not say which file it has no room for.
            raise OSError(error.errno, os.strerror(error.errno), str(target)) from error
        raise
    sync_folder(target.parent)


@contextmanager
def open_whole_text(path: str | os.PathLike[str], newline: str | None = None) -> Iterator[TextIO]:
    """Do what `open_whole_bytes` does, for text in UTF-8.

    Yields:
        The file under a name of its own, open for text.
    """
    with open_whole_bytes(path) as binary:
        text = io.TextIOWrapper(binary, encoding='utf-8', newline=newline)
        yield text
        text.flush()
        text.detach()


def write_whole(path: str | os.PathLike[str], content: bytes | memoryview | str) -> None:
    """Write a file that appears under its name whole or not at all.

    Args:
        path: The file; missing folders are made.
        content: Bytes, or text that is written in UTF-8.
    """
    with open_whole_bytes(path) as file:
        file.write(content.encode('utf-8') if isinstance(content, str) else content)


def dump_whole(content: Any, path: str | os.PathLike[str]) -> None:
    """Write a value as MMEngine's `dump` does, as JSON, YAML or pickle by the file's ending, whole or not at all."""
    write_whole(path, dump(content, file_format=Path(path).suffix.removeprefix('.')))


def remove_unfinished(path: str | os.PathLike[str]) -> None:
    """Remove what killed writers of a file left beside it; the caller holds a lock, so that nobody writes it now."""
    target = Path(path)
    # No star for the number: somebody may be writing a.images beside a, in a.images.17.unfinished.
    left = re.compile(rf'{re.escape(_shorten(target))}\.\d+\.unfinished')
    for other in target.parent.iterdir():
        if left.fullmatch(other.name):
            other.unlink(missing_ok=True)


def _shorten(target: Path) -> str:
    """Cut a name that would otherwise exceed the file system's limit with what is added to it."""
    return target.name[:200]


def sync_folder(folder: Path) -> None:
    """Force a folder's list of names to the disk, where the system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
