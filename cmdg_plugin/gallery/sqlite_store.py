"""The embedded engine: one SQLite file, searched exactly by matrix products."""

import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from cmdg_plugin.gallery.columns import KNOWN_COLUMNS, convert
from cmdg_plugin.gallery.entries import Entry
from cmdg_plugin.gallery.exact_scan import Block, scan
from cmdg_plugin.gallery.filters import Filter
from cmdg_plugin.gallery.scoring import Query, shared_scale
from cmdg_plugin.gallery.sql_filter import to_sql
from cmdg_plugin.gallery.store import FileState, StoredEntry

_KNOWN = tuple(KNOWN_COLUMNS)
_SCHEMA = """
CREATE TABLE entries (
    id INTEGER PRIMARY KEY AUTOINCREMENT, path TEXT NOT NULL UNIQUE, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    sha256 TEXT NOT NULL, identity TEXT, camera INTEGER, time TEXT, caption TEXT
);
CREATE TABLE vectors (id INTEGER PRIMARY KEY REFERENCES entries, vector BLOB NOT NULL);
CREATE TABLE further_columns (name TEXT PRIMARY KEY, kind TEXT NOT NULL);
"""
_KINDS: Mapping[str, type] = {'text': str, 'int': int, 'float': float}
_KIND_NAMES = {kind: name for name, kind in _KINDS.items()}
_ROWS = 16_384
_VARIABLES = 900
_WAIT = 60


class SQLiteStore:
    """Entries and vectors in one SQLite file.

    A search compares the query with every entry that passes the filter: it is exact. Vectors are kept in memory up to a
    limit; those beyond it are read from the file for each search.

    Args:
        path: The file.
        dimension: Length W + D of retrieval features.
        shared: D, the length of their shared part.
        memory: Bytes of vectors to keep in memory.
        create: Whether to make the file, which must not be there then.

    Raises:
        FileNotFoundError: If it is not there.
        ValueError: If it is not a gallery's.
    """

    def __init__(self, path: Path, dimension: int, shared: int, *, memory: int = 2 << 30, create: bool = False) -> None:
        if not create and not path.is_file():
            raise FileNotFoundError(f'The gallery has lost its entries: there is no {path}.')
        self.path = path
        self.dimension = dimension
        self.shared = shared
        self._most_kept = memory // (4 * dimension)
        self._lock = threading.RLock()
        self._kept: list[Block] = []
        self._seen: Any = None
        with _blaming(path):
            self._database = sqlite3.connect(path, timeout=_WAIT, check_same_thread=False, isolation_level=None)
            # What is removed is overwritten with zeros, and the file shrinks.
            self._database.execute('PRAGMA secure_delete = ON')
            if create:
                self._database.execute('PRAGMA page_size = 16384')
                self._database.execute('PRAGMA auto_vacuum = INCREMENTAL')
                self._database.executescript(_SCHEMA)
            self._database.execute('SELECT id FROM entries LIMIT 1')

    def declare(self, columns: Mapping[str, type]) -> None:
        """Make room for further columns."""
        with self._change() as database:
            there = self.columns()
            for name, kind in columns.items():
                if name not in there:
                    database.execute(f'ALTER TABLE entries ADD COLUMN "x_{name}"')
                database.execute('INSERT OR REPLACE INTO further_columns VALUES (?, ?)', (name, _KIND_NAMES[kind]))

    def columns(self) -> dict[str, type]:
        """Further columns and their types."""
        with self._read() as database:
            return {name: _KINDS[kind] for name, kind in database.execute('SELECT name, kind FROM further_columns')}

    def add(self, entries: Sequence[StoredEntry], vectors: np.ndarray) -> None:
        """Add entries, or replace those of the same path, with their retrieval features (N, W + D)."""
        rows = np.ascontiguousarray(vectors, np.float32)
        with self._change() as database:
            self._delete_paths(database, [stored.entry.path for stored in entries])
            for stored, vector in zip(entries, rows, strict=True):
                names, values = _to_row(stored)
                marks = ', '.join('?' * len(names))
                cursor = database.execute(f'INSERT INTO entries ({", ".join(names)}) VALUES ({marks})', values)
                database.execute('INSERT INTO vectors VALUES (?, ?)', (cursor.lastrowid, vector.tobytes()))

    def update(self, entries: Sequence[StoredEntry]) -> None:
        """Change what is known of entries, by path; vectors stay."""
        with self._change() as database:
            further = [f'"x_{name}"' for name in self.columns()]
            for stored in entries:
                names, values = _to_row(stored)
                changes = [f'{name} = ?' for name in names]
                changes += [f'{name} = NULL' for name in further if name not in names]
                database.execute(
                    f'UPDATE entries SET {", ".join(changes)} WHERE path = ?', (*values, stored.entry.path)
                )

    def find(self, paths: Sequence[str]) -> dict[str, StoredEntry]:
        """Return those of some paths that are there."""
        found = {}
        with self._read() as database:
            select, read = self._selection()
            for part in _parts(paths):
                marks = ', '.join('?' * len(part))
                for row in database.execute(f'{select} WHERE path IN ({marks})', part):
                    stored = read(row)
                    found[stored.entry.path] = stored
        return found

    def remove(self, where: Filter | None, paths: Sequence[str] | None) -> int:
        """Remove the entries that fulfill a condition and are among some paths; returns how many."""
        with self._change() as database:
            before = self._count(database)
            if paths is None:
                condition, values = to_sql(where)
                chosen = f'SELECT id FROM entries WHERE {condition}'
                database.execute(f'DELETE FROM vectors WHERE id IN ({chosen})', values)
                database.execute(f'DELETE FROM entries WHERE {condition}', values)
            else:
                self._delete_paths(database, paths, where)
            removed = before - self._count(database)
        with self._lock, _blaming(self.path):
            self._database.execute('PRAGMA incremental_vacuum').fetchall()
        return removed

    def search(self, query: Query, where: Filter | None, top: int) -> tuple[list[tuple[Entry, float]], int]:
        """Return the entries most similar to a query with their scores, best first, and how many passed the filter."""
        with self._read() as database:
            self._refresh(database)
            condition, values = to_sql(where)
            if where is None:
                chosen, searched = None, self._count(database)
            else:
                chosen = _ids(database.execute(f'SELECT id FROM entries WHERE {condition} ORDER BY id', values))
                searched = len(chosen)
            ids, scores = scan(query, self._blocks(database, condition, values), top, chosen)
            select, read = self._selection()
            entries = {}
            for part in _parts(ids.tolist()):
                marks = ', '.join('?' * len(part))
                for row in database.execute(f'{select} WHERE id IN ({marks})', part):
                    entries[row[0]] = read(row).entry
        return [(entries[number], float(score)) for number, score in zip(ids.tolist(), scores, strict=True)], searched

    def count(self) -> int:
        """Number of entries."""
        with self._read() as database:
            return self._count(database)

    def iterate(self) -> Iterator[StoredEntry]:
        """Go through all entries in the order in which they came."""
        last = 0
        while True:
            with self._read() as database:
                select, read = self._selection()
                rows = database.execute(f'{select} WHERE id > ? ORDER BY id LIMIT {_ROWS}', (last,)).fetchall()
            if not rows:
                return
            last = rows[-1][0]
            yield from map(read, rows)

    def verify(self) -> list[str]:
        """Say what is wrong with what is stored, a line for each fault."""
        with self._read() as database:
            faults = [text for (text,) in database.execute('PRAGMA integrity_check') if text != 'ok']
            pairs = (
                ('entries', 'vectors', 'no vector'),
                ('vectors', 'entries', 'a vector without entry'),
            )
            for one, other, what in pairs:
                missing = database.execute(f'SELECT id FROM {one} WHERE id NOT IN (SELECT id FROM {other})')
                faults += [f'number {number}: {what}' for (number,) in missing]
            for ids, vectors, _ in self._read_blocks(database, 0, '1', []):
                lengths = np.linalg.norm(vectors, axis=1)
                bad = ids[~(np.abs(lengths - 1) < 1e-3)]
                faults += [f'number {number}: its vector has not length one' for number in bad]
        return faults

    def size(self) -> int:
        """Bytes on this machine's disk."""
        return self.path.stat().st_size

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    # ------------------------------------------------------------------ in memory

    def _refresh(self, database: sqlite3.Connection) -> None:
        """Bring the vectors in memory up to what the file holds."""
        state = (database.execute('PRAGMA data_version').fetchone(), database.total_changes)
        if state == self._seen:
            return
        there = _ids(database.execute('SELECT id FROM entries ORDER BY id'))
        kept: list[Block] = []
        for ids, vectors, scale in self._kept:
            part = there[slice(*np.searchsorted(there, (ids[0], ids[-1] + 1)))]
            alive = np.isin(ids, part, assume_unique=True)
            kept.append((ids, vectors, scale) if alive.all() else (ids[alive], vectors[alive], scale[alive]))
        self._kept = [block for block in kept if len(block[0])]
        room = self._most_kept - sum(len(block[0]) for block in self._kept)
        last = int(self._kept[-1][0][-1]) if self._kept else 0
        if room > 0:
            for block in self._read_blocks(database, last, '1', []):
                if len(block[0]) > room:
                    break
                self._kept.append(block)
                room -= len(block[0])
        self._seen = state

    def _blocks(self, database: sqlite3.Connection, condition: str, values: Sequence[Any]) -> Iterator[Block]:
        yield from self._kept
        last = int(self._kept[-1][0][-1]) if self._kept else 0
        yield from self._read_blocks(database, last, condition, values)

    def _read_blocks(
        self, database: sqlite3.Connection, last: int, condition: str, values: Sequence[Any]
    ) -> Iterator[Block]:
        cursor = database.execute(
            'SELECT entries.id, vector FROM entries JOIN vectors ON vectors.id = entries.id '
            f'WHERE entries.id > ? AND {condition} ORDER BY entries.id',
            (last, *values),
        )
        while rows := cursor.fetchmany(_ROWS):
            joined = b''.join(vector for _, vector in rows)
            vectors = np.frombuffer(joined, np.float32).reshape(len(rows), self.dimension)
            yield np.array([number for number, _ in rows]), vectors, shared_scale(vectors, self.shared)

    # ------------------------------------------------------------------ SQL

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        """Context of one change, which is on disk at its end or leaves no trace."""
        with self._lock, _blaming(self.path):
            self._database.execute('BEGIN IMMEDIATE')
            try:
                yield self._database
                self._database.execute('COMMIT')
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute('ROLLBACK')
                raise

    @contextmanager
    def _read(self) -> Iterator[sqlite3.Connection]:
        """Context in which the file does not change."""
        with self._lock, _blaming(self.path):
            if self._database.in_transaction:
                yield self._database
                return
            self._database.execute('BEGIN')
            try:
                yield self._database
            finally:
                if self._database.in_transaction:
                    self._database.execute('COMMIT')

    def _count(self, database: sqlite3.Connection) -> int:
        return int(database.execute('SELECT COUNT(*) FROM entries').fetchone()[0])

    def _delete_paths(self, database: sqlite3.Connection, paths: Sequence[str], where: Filter | None = None) -> None:
        condition, values = to_sql(where)
        for part in _parts(paths):
            chosen = f'path IN ({", ".join("?" * len(part))}) AND {condition}'
            ids = [row[0] for row in database.execute(f'SELECT id FROM entries WHERE {chosen}', (*part, *values))]
            marks = ', '.join('?' * len(ids))
            database.execute(f'DELETE FROM vectors WHERE id IN ({marks})', ids)
            database.execute(f'DELETE FROM entries WHERE id IN ({marks})', ids)

    def _selection(self) -> tuple[str, Any]:
        """The beginning of a query for whole entries, and what makes one of a row."""
        further = self.columns()
        names = ['id', 'size', 'mtime_ns', 'sha256', *_KNOWN, *(f'"x_{name}"' for name in further)]

        def read(row: tuple[Any, ...]) -> StoredEntry:
            known = dict(zip(_KNOWN, row[4 : 4 + len(_KNOWN)], strict=True))
            cells = zip(further.items(), row[4 + len(_KNOWN) :], strict=True)
            columns = {name: convert(value, kind) for (name, kind), value in cells if value is not None}
            return StoredEntry(Entry(**known, columns=columns), FileState(*row[1:4]))

        return f'SELECT {", ".join(names)} FROM entries', read


def _to_row(stored: StoredEntry) -> tuple[list[str], list[Any]]:
    entry, file = stored.entry, stored.file
    names = ['size', 'mtime_ns', 'sha256', *_KNOWN, *(f'"x_{name}"' for name in entry.columns)]
    known = [getattr(entry, name) for name in _KNOWN]
    return names, [file.size, file.mtime_ns, file.sha256, *known, *entry.columns.values()]


def _ids(cursor: sqlite3.Cursor) -> np.ndarray:
    return np.fromiter((row[0] for row in cursor), np.int64)


def _parts(values: Sequence[Any]) -> Iterator[list[Any]]:
    """Cut a list into parts that one statement takes."""
    for start in range(0, len(values), _VARIABLES):
        yield list(values[start : start + _VARIABLES])


@contextmanager
def _blaming(path: Path) -> Iterator[None]:
    """Context in which what SQLite raises names the file and what to do."""
    try:
        yield
    except sqlite3.Error as error:
        text = str(error)
        if 'full' in text or 'disk I/O' in text:
            raise OSError(
                f'The gallery cannot be written ({text}): its disk {_disk(path)}. Nothing of the last step was kept; '
                'make room and run the same command again.'
            ) from error
        if 'locked' in text:
            raise OSError(f'Another process kept {path} busy for {_WAIT} seconds; try again.') from error
        raise ValueError(f'{path} is not the file of a gallery, or it is damaged ({text}).') from error


def _disk(path: Path) -> str:
    try:
        disk = os.statvfs(path.parent)
    except OSError:
        return 'does not answer'
    return f'has {disk.f_bavail * disk.f_frsize / 2**20:,.1f} MiB free'
