"""What stores the entries of a gallery: one protocol, and what the engines behind it share."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from cmdg_plugin.datasets.caption_fields import show
from cmdg_plugin.gallery.columns import KNOWN_COLUMNS, TYPE_NAMES, Value, convert, field_name
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

    def columns(self) -> Mapping[str, type]:
        """Further columns and their types."""

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

    def recall(self) -> float | None:
        """Share of the nearest entries that searches find, measured on a sample; None where all are compared."""

    def count(self) -> int:
        """Number of entries."""

    def iterate(self) -> Iterator[StoredEntry]:
        """Go through all entries."""

    def verify(self) -> list[str]:
        """Say what is wrong with what is stored, a line for each fault."""

    def size(self) -> int:
        """Bytes on this machine's disk."""

    def drop(self) -> None:
        """Throw all of it away."""

    def close(self) -> None:
        """Let go of files and connections."""


def to_fields(stored: StoredEntry) -> dict[str, Any]:
    """What is stored of an entry beside its vector, by field; None where nothing is known."""
    entry, file = stored.entry, stored.file
    return {
        **{name: getattr(entry, name) for name in KNOWN_COLUMNS},
        **{name: getattr(file, name) for name in FileState.__slots__},
        **{field_name(name): value for name, value in entry.columns.items()},
    }


def from_fields(fields: Mapping[str, Any], columns: Mapping[str, type]) -> StoredEntry:
    """Undo `to_fields`, with the gallery's further columns and their types.

    Raises:
        ValueError: If a field holds what `to_fields` does not give.
    """
    known = {name: _read_value(fields, name, kind) for name, kind in KNOWN_COLUMNS.items()}
    further = {name: _read_value(fields, name, kind) for name, kind in columns.items()}
    cells = {name: value for name, value in further.items() if value is not None}
    file = FileState(**{name: fields[name] for name in FileState.__slots__})
    return StoredEntry(Entry(**known, columns=cells), file)  # type: ignore[arg-type]


def _read_value(fields: Mapping[str, Any], name: str, kind: type) -> Value | None:
    value = fields.get(field_name(name))
    if value is None and name != 'path':
        return None
    if not isinstance(value, str if kind is str else int | float):
        raise ValueError(
            f'The gallery is damaged: it holds {show(value)} in the column {name}, which is for {TYPE_NAMES[kind]}.'
        )
    return convert(value, kind)


def in_parts(values: Sequence[Any], size: int) -> Iterator[list[Any]]:
    """Cut a list into parts that one request takes."""
    for start in range(0, len(values), size):
        yield list(values[start : start + size])
