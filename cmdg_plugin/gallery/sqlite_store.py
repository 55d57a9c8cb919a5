"""The embedded engine: one SQLite file, searched exactly by matrix products."""

import json
import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from cmdg_plugin.datasets.caption_fields import show
from cmdg_plugin.files.writing import sync_folder
from cmdg_plugin.gallery.columns import KIND_NAMES, field_name, read_kinds
from cmdg_plugin.gallery.entries import Entry
from cmdg_plugin.gallery.exact_scan import scan
from cmdg_plugin.gallery.filter_languages import to_sql
from cmdg_plugin.gallery.filters import Filter
from cmdg_plugin.gallery.scoring import Query
from cmdg_plugin.gallery.store import StoredEntry, from_fields, to_fields
from cmdg_plugin.gallery.stored_vectors import StoredVectors, read_ids

_SCHEMA = """
CREATE TABLE entries (
    id INTEGER PRIMARY KEY AUTOINCREMENT, path TEXT NOT NULL UNIQUE, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    sha256 TEXT NOT NULL, identity TEXT, camera INTEGER, time TEXT, caption TEXT
);
CREATE TABLE vectors (id INTEGER PRIMARY KEY REFERENCES entries, vector BLOB NOT NULL);
CREATE TABLE further_columns (name TEXT PRIMARY KEY, kind TEXT NOT NULL);
"""
_SCHEMA_CHECK = (
    'SELECT entries.id, path, size, mtime_ns, sha256, identity, camera, time, caption, vector, name, kind '
    'FROM entries, vectors, further_columns LIMIT 0'
)
_MORE_THAN_TABLES = "SELECT name FROM sqlite_master WHERE type IN ('trigger', 'view')"
_ROWS = 16_384
# A list of any length as one value, in JSON; the number of values is limited.
_LISTED = '(SELECT value FROM json_each(?))'
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
        self._vectors = StoredVectors(dimension, shared, memory)
        self._lock = threading.RLock()
        with _blaming(path):
            self._database = sqlite3.connect(path, timeout=_WAIT, check_same_thread=False, isolation_level=None)
            self._database.row_factory = sqlite3.Row
            # What is removed is overwritten with zeros, and the file shrinks.
            self._database.execute('PRAGMA secure_delete = ON')
            if create:
                self._database.execute('PRAGMA page_size = 16384')
                self._database.execute('PRAGMA auto_vacuum = INCREMENTAL')
                self._database.executescript(_SCHEMA)
            self._database.execute(_SCHEMA_CHECK)
            # A stranger's file could keep what is removed in a table of its own.
            for (name,) in self._database.execute(_MORE_THAN_TABLES):
                raise ValueError(f'{path} is not the file of a gallery: it holds the trigger or view {show(name)}.')

    def declare(self, columns: Mapping[str, type]) -> None:
        """Make room for further columns, or give them another type (`merge_kinds`)."""
        with self._change() as database:
            there = self.columns()
            for name, kind in columns.items():
                if name not in there:
                    database.execute(f'ALTER TABLE entries ADD COLUMN {field_name(name)}')
                database.execute('INSERT OR REPLACE INTO further_columns VALUES (?, ?)', (name, KIND_NAMES[kind]))

    def columns(self) -> dict[str, type]:
        """Further columns and their types."""
        with self._read() as database:
            return read_kinds(database.execute('SELECT name, kind FROM further_columns'))

    def add(self, entries: Sequence[StoredEntry], vectors: np.ndarray) -> None:
        """Add entries, or replace those of the same path, with their retrieval features (N, W + D)."""
        rows = np.ascontiguousarray(vectors, np.float32)
        with self._change() as database:
            _delete(database, None, [stored.entry.path for stored in entries])
            for stored, vector in zip(entries, rows, strict=True):
                fields = to_fields(stored)
                marks = ', '.join('?' * len(fields))
                cursor = database.execute(
                    f'INSERT INTO entries ({", ".join(fields)}) VALUES ({marks})', list(fields.values())
                )
                database.execute('INSERT INTO vectors VALUES (?, ?)', (cursor.lastrowid, vector.tobytes()))

    def update(self, entries: Sequence[StoredEntry]) -> None:
        """Change what is known of entries, by path; vectors stay."""
        with self._change() as database:
            unknown = dict.fromkeys(map(field_name, self.columns()))
            for stored in entries:
                fields = {**unknown, **to_fields(stored)}
                changes = ', '.join(f'{name} = ?' for name in fields)
                database.execute(f'UPDATE entries SET {changes} WHERE path = ?', [*fields.values(), stored.entry.path])

    def find(self, paths: Sequence[str]) -> dict[str, StoredEntry]:
        """Return those of some paths that are there."""
        with self._read() as database:
            columns = self.columns()
            rows = database.execute(f'SELECT * FROM entries WHERE path IN {_LISTED}', [json.dumps(paths)])
            return {row['path']: from_fields(dict(row), columns) for row in rows}

    def remove(self, where: Filter | None, paths: Sequence[str] | None) -> int:
        """Remove the entries that fulfill a condition and are among some paths; returns how many."""
        with self._change() as database:
            removed = _delete(database, where, paths)
        with self._lock, _blaming(self.path):
            self._database.execute('PRAGMA incremental_vacuum').fetchall()
        return removed

    def search(self, query: Query, where: Filter | None, top: int) -> tuple[list[tuple[Entry, float]], int]:
        """Return the entries most similar to a query with their scores, best first, and how many passed the filter."""
        with self._read() as database:
            self._vectors.refresh(database)
            condition, values = to_sql(where)
            if where is None:
                chosen, searched = None, self._count(database)
            else:
                chosen = read_ids(database.execute(f'SELECT id FROM entries WHERE {condition} ORDER BY id', values))
                searched = len(chosen)
            ids, scores = scan(query, self._vectors.blocks(database, condition, values), top, chosen)
            columns = self.columns()
            rows = database.execute(f'SELECT * FROM entries WHERE id IN {_LISTED}', [json.dumps(ids.tolist())])
            entries = {row['id']: from_fields(dict(row), columns).entry for row in rows}
        return [(entries[number], float(score)) for number, score in zip(ids.tolist(), scores, strict=True)], searched

    def recall(self) -> None:
        """None: all entries are compared."""

    def count(self) -> int:
        """Number of entries."""
        with self._read() as database:
            return self._count(database)

    def iterate(self) -> Iterator[StoredEntry]:
        """Go through all entries in the order in which they came."""
        last = 0
        while True:
            with self._read() as database:
                columns = self.columns()
                rows = database.execute(
                    f'SELECT * FROM entries WHERE id > ? ORDER BY id LIMIT {_ROWS}', (last,)
                ).fetchall()
            if not rows:
                return
            last = rows[-1]['id']
            for row in rows:
                yield from_fields(dict(row), columns)

    def verify(self) -> list[str]:
        """Say what is wrong with what is stored, a line for each fault."""
        with self._read() as database:
            faults = [text for (text,) in database.execute('PRAGMA integrity_check') if text != 'ok']
            checks = {
                'not such a number as entries get': 'SELECT id FROM entries WHERE id NOT BETWEEN 1 AND (1 << 62)',
                'no vector': 'SELECT id FROM entries WHERE id NOT IN (SELECT id FROM vectors)',
                'a vector without entry': 'SELECT id FROM vectors WHERE id NOT IN (SELECT id FROM entries)',
                'a vector of another size': 'SELECT id FROM vectors '
                f"WHERE typeof(vector) != 'blob' OR length(vector) != {self._vectors.bytes}",
            }
            for what, query in checks.items():
                faults += [f'number {number}: {what}' for (number,) in database.execute(query)]
            columns = self.columns()
            for row in database.execute('SELECT * FROM entries'):
                try:
                    from_fields(dict(row), columns)
                except ValueError as error:
                    faults.append(f'number {row["id"]}: {error}')
            if faults:
                return faults
            for ids, vectors, _ in self._vectors.read(database):
                lengths = np.linalg.norm(vectors, axis=1)
                bad = ids[~(np.abs(lengths - 1) < 1e-3)]
                faults += [f'number {number}: its vector has not length one' for number in bad]
        return faults

    def size(self) -> int:
        """Bytes on this machine's disk."""
        return self.path.stat().st_size

    def drop(self) -> None:
        """Throw the file away."""
        self.close()
        drop_files(self.path)

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        """Context of one change, which is on disk at its end or leaves no trace."""
        with self._lock, _blaming(self.path), self._database as database:
            database.execute('BEGIN IMMEDIATE')
            yield database

    @contextmanager
    def _read(self) -> Iterator[sqlite3.Connection]:
        """Context in which the file does not change."""
        with self._lock, _blaming(self.path):
            if self._database.in_transaction:
                yield self._database
                return
            with self._database as database:
                database.execute('BEGIN')
                yield database

    def _count(self, database: sqlite3.Connection) -> int:
        return int(database.execute('SELECT COUNT(*) FROM entries').fetchone()[0])


def drop_files(path: Path) -> None:
    """Throw a store's file away, and what an interrupted change left beside it."""
    for file in (path, path.with_name(f'{path.name}-journal')):
        file.unlink(missing_ok=True)
    sync_folder(path.parent)


def _delete(database: sqlite3.Connection, where: Filter | None, paths: Sequence[str] | None) -> int:
    condition, values = to_sql(where)
    if paths is not None:
        condition, values = f'path IN {_LISTED} AND {condition}', [json.dumps(paths), *values]
    database.execute(f'DELETE FROM vectors WHERE id IN (SELECT id FROM entries WHERE {condition})', values)
    return database.execute(f'DELETE FROM entries WHERE {condition}', values).rowcount


@contextmanager
def _blaming(path: Path) -> Iterator[None]:
    """Context in which what SQLite raises names the file and what to do."""
    try:
        yield
    except sqlite3.ProgrammingError as error:
        if 'closed' in str(error):
            raise ValueError(f'The gallery {path.parent} is closed; open it again.') from error
        raise
    except sqlite3.Error as error:
        text = str(error)
        if 'full' in text or 'disk I/O' in text:
            raise OSError(
                f'The gallery cannot be written ({text}): its disk {_disk(path)}. Nothing of the last step was kept; '
                'make room and run the same command again.'
            ) from error
        if 'readonly' in text or 'unable to open' in text:
            raise OSError(f'{path} cannot be opened, or may only be read ({text}).') from error
        if 'locked' in text:
            raise OSError(f'Another process kept {path} busy for {_WAIT} seconds; try again.') from error
        raise ValueError(f'{path} is not the file of a gallery, or it is damaged ({text}).') from error


def _disk(path: Path) -> str:
    try:
        disk = os.statvfs(path.parent)
    except OSError:
        return 'does not answer'
    return f'has {disk.f_bavail * disk.f_frsize / 2**20:,.1f} MiB free'
