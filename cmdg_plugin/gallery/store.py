"""What stores the entries of a gallery: one protocol, and the engines behind it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from cmdg_plugin.gallery.entries import Entry
from cmdg_plugin.gallery.filters import Filter
from cmdg_plugin.gallery.scoring import Query


@dataclass(frozen=True, slots=True)
class FileState:
    """What tells whether a file has changed since it was encoded: its size, its time of change, its SHA-256."""

    size: int
    mtime_ns: int
    sha256: str


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """An entry and the state of its file when it was encoded."""

    entry: Entry
    file: FileState


class GalleryStore(Protocol):
    """Entries and their vectors, all of one model.

    Every change is on disk, or at the server, when its method returns; one that is interrupted leaves no trace.
    """

    def declare(self, columns: Mapping[str, type]) -> None:
        """Make room for further columns, or give them another type (`merge_kinds`)."""

    def add(self, entries: Sequence[StoredEntry], vectors: np.ndarray) -> None:
        """Add entries, or replace those of the same path, with their retrieval features (N, W + D)."""

    def update(self, entries: Sequence[StoredEntry]) -> None:
        """Change what is known of entries, by path; vectors stay."""

    def find(self, paths: Sequence[str]) -> dict[str, StoredEntry]:
        """Return those of some paths that are there."""

    def remove(self, where: Filter | None, paths: Sequence[str] | None) -> int:
        """Remove the entries that fulfill a condition and are among some paths; returns how many."""

    def search(self, query: Query, where: Filter | None, top: int) -> tuple[list[tuple[Entry, float]], int]:
        """Return the entries most similar to a query with their scores, best first, and how many passed the filter."""

    def count(self) -> int:
        """Number of entries."""

    def iterate(self) -> Iterator[StoredEntry]:
        """Go through all entries in the order in which they came."""

    def columns(self) -> Mapping[str, type]:
        """Further columns and their types."""

    def verify(self) -> list[str]:
        """Say what is wrong with what is stored, a line for each fault."""

    def size(self) -> int:
        """Bytes on this machine's disk."""

    def close(self) -> None:
        """Let go of files and connections."""
