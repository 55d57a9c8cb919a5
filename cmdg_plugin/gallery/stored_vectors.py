"""Vectors of a SQLite file: as many as there is room for stay in memory, the others are read for each search."""

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from cmdg_plugin.gallery.exact_scan import Block
from cmdg_plugin.gallery.scoring import shared_scale

ROWS = 16_384


class StoredVectors:
    """Blocks of vectors for `scan`, in the order of their numbers.

    Args:
        dimension: Length W + D of retrieval features.
        shared: D, the length of their shared part.
        memory: Bytes of vectors to keep in memory.
    """

    def __init__(self, dimension: int, shared: int, memory: int) -> None:
        self.dimension = dimension
        self.shared = shared
        self.bytes = 4 * dimension
        self._most_kept = memory // self.bytes
        self._kept: list[Block] = []
        self._seen: Any = None

    def refresh(self, database: sqlite3.Connection) -> None:
        """Bring what is in memory up to what the file holds."""
        state = (tuple(database.execute('PRAGMA data_version').fetchone()), database.total_changes)
        if state == self._seen:
            return
        there = read_ids(database.execute('SELECT id FROM entries ORDER BY id'))
        kept: list[Block] = []
        for ids, vectors, scale in self._kept:
            part = there[slice(*np.searchsorted(there, (ids[0], ids[-1] + 1)))]
            alive = np.isin(ids, part, assume_unique=True)
            kept.append((ids, vectors, scale) if alive.all() else (ids[alive], vectors[alive], scale[alive]))
        self._kept = [block for block in kept if len(block[0])]
        room = self._most_kept - sum(len(block[0]) for block in self._kept)
        for block in self.read(database, self._last()) if room > 0 else ():
            if len(block[0]) > room:
                break
            room -= len(block[0])
            # Otherwise a gallery that is searched while it grows would be searched in many small blocks.
            if self._kept and len(self._kept[-1][0]) + len(block[0]) <= ROWS:
                ids, vectors, scale = map(np.concatenate, zip(self._kept.pop(), block, strict=True))
                block = ids, vectors, scale
            self._kept.append(block)
        self._seen = state

    def blocks(self, database: sqlite3.Connection, condition: str, values: Sequence[Any]) -> Iterator[Block]:
        """Give those in memory, and from the file those of the others that fulfill a condition."""
        yield from self._kept
        yield from self.read(database, self._last(), condition, values)

    def read(
        self, database: sqlite3.Connection, after: int = 0, condition: str = '1', values: Sequence[Any] = ()
    ) -> Iterator[Block]:
        """Read those from the file that come after a number and fulfill a condition."""
        cursor = database.execute(
            'SELECT entries.id, vector FROM entries LEFT JOIN vectors ON vectors.id = entries.id '
            f'WHERE entries.id > ? AND {condition} ORDER BY entries.id',
            (after, *values),
        )
        while rows := cursor.fetchmany(ROWS):
            if not all(isinstance(vector, bytes) and len(vector) == self.bytes for _, vector in rows):
                raise ValueError('The gallery is damaged: it lacks vectors, or has others; verify lists them.')
            joined = b''.join(vector for _, vector in rows)
            vectors = np.frombuffer(joined, np.float32).reshape(len(rows), self.dimension)
            yield np.array([number for number, _ in rows]), vectors, shared_scale(vectors, self.shared)

    def _last(self) -> int:
        return int(self._kept[-1][0][-1]) if self._kept else 0


def read_ids(cursor: sqlite3.Cursor) -> np.ndarray:
    """Numbers of entries (N,) that a query gives."""
    return np.fromiter((row[0] for row in cursor), np.int64)
