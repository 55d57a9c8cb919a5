"""Images of entries: read once, hashed and prepared, in other processes if wanted."""

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from cmdg_plugin.files.hashing import size_and_time
from cmdg_plugin.files.images import UnreadableImage, blaming, check_regular, decode_image
from cmdg_plugin.gallery.entries import Entry
from cmdg_plugin.gallery.store import FileState, StoredEntry

_LARGEST = 1 << 30


@dataclass(frozen=True)
class ReadImage:
    """What reading an entry's file gave.

    Attributes:
        path: The file.
        stored: The entry with the state of its file; None where it cannot be read.
        pixels: What the model takes; None where the file is as it was, or cannot be read.
        problem: Why it cannot be read.
    """

    path: str
    stored: StoredEntry | None = None
    pixels: Tensor | None = None
    problem: str = ''


class EntryImages(Dataset):
    """Images of entries; a dataloader reads them one by one.

    Args:
        entries: The entries, each with the state that its file had when it was encoded, or None.
        prepare: What makes of an image what the model takes.
    """

    def __init__(
        self, entries: Sequence[tuple[Entry, FileState | None]], prepare: Callable[[Image.Image], Tensor]
    ) -> None:
        self.entries = entries
        self.prepare = prepare

    def __len__(self) -> int:
        """Number of entries."""
        return len(self.entries)

    def __getitem__(self, index: int) -> ReadImage:
        """Read one of them."""
        entry, known = self.entries[index]
        try:
            with blaming(entry.path):
                content, state = read_file(entry.path)
            if known is not None and known.sha256 == state.sha256:
                return ReadImage(entry.path, StoredEntry(entry, state))
            pixels = self.prepare(decode_image(content, entry.path))
        except UnreadableImage as error:
            return ReadImage(entry.path, problem=str(error))
        return ReadImage(entry.path, StoredEntry(entry, state), pixels)


def read_file(path: str) -> tuple[bytes, FileState]:
    """Read a file and its state at once, so that both are of the same content.

    Raises:
        UnreadableImage: If it is a folder, a pipe or a device, or larger than pictures are.
        OSError: If it cannot be read.
    """
    check_regular(path)
    with open(path, 'rb') as file:
        status = os.fstat(file.fileno())
        if status.st_size > _LARGEST:  # such as an empty one that claims to be, which would fill the memory
            raise UnreadableImage(f'The image {path} cannot be read: its file is larger than {_LARGEST >> 30} GiB.')
        content = file.read()
    return content, FileState(*size_and_time(status), hashlib.sha256(content).hexdigest())


def has_changed(path: str, known: FileState) -> bool:
    """Whether a file's size or time of change says that it may be another one than was encoded."""
    try:
        status = Path(path).stat()
    except OSError:
        return True
    return size_and_time(status) != (known.size, known.mtime_ns)
