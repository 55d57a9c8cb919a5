"""The distributed engine: a Milvus server, for those who outgrow one machine."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from cmdg_plugin.files.writing import write_whole
from cmdg_plugin.gallery.columns import KNOWN_COLUMNS, convert
from cmdg_plugin.gallery.entries import Entry
from cmdg_plugin.gallery.filters import Filter
from cmdg_plugin.gallery.milvus_filter import field_name, to_milvus
from cmdg_plugin.gallery.scoring import Query, join_for_products, join_query
from cmdg_plugin.gallery.store import FileState, StoredEntry

TOKEN_VARIABLE = 'MILVUS_TOKEN'
_KNOWN = tuple(KNOWN_COLUMNS)
_FILE = ('size', 'mtime_ns', 'sha256')
_KINDS: Mapping[str, type] = {'text': str, 'int': int, 'float': float}
_KIND_NAMES = {kind: name for name, kind in _KINDS.items()}
_LONGEST_PATH = 8192
_ROWS = 1000
_MOST_ANSWERS = 16_384
_STRONG = 'Strong'


class MilvusStore:
    """Entries and vectors in a collection of a Milvus server, searched exactly (index FLAT).

    Reads see every change that was made before them, by any client. The token, if the server asks for one, is read from
    the environment variable MILVUS_TOKEN and stored nowhere.

    Args:
        columns_file: Where the types of further columns are kept, in the gallery's folder.
        dimension: Length W + D of retrieval features.
        shared: D, the length of their shared part.
        uri: Address of the server.
        collection: Name of the collection.
        create: Whether to make the collection; one of that name is thrown away.

    Raises:
        ImportError: If pymilvus is not installed.
        ConnectionError: If no server answers.
        FileNotFoundError: If the server has no such collection.
    """

    def __init__(
        self, columns_file: Path, dimension: int, shared: int, *, uri: str, collection: str, create: bool = False
    ) -> None:
        self.columns_file = columns_file
        self.dimension = dimension
        self.shared = shared
        self.uri = uri
        self.collection = collection
        self._client = connect(uri)
        with _blaming(uri):
            if create:
                self._create()
            elif not self._client.has_collection(collection):
                raise FileNotFoundError(
                    f'The Milvus server at {uri} has no collection {collection}: it was removed there.'
                )
            self._client.load_collection(collection)

    def declare(self, columns: Mapping[str, type]) -> None:
        """Make room for further columns, or give them another type."""
        write_whole(self.columns_file, json.dumps({name: _KIND_NAMES[kind] for name, kind in columns.items()}))

    def columns(self) -> dict[str, type]:
        """Further columns and their types."""
        return {name: _KINDS[kind] for name, kind in json.loads(self.columns_file.read_bytes()).items()}

    def add(self, entries: Sequence[StoredEntry], vectors: np.ndarray) -> None:
        """Add entries, or replace those of the same path, with their retrieval features (N, W + D)."""
        self._upsert(entries, join_for_products(vectors, self.shared))

    def update(self, entries: Sequence[StoredEntry]) -> None:
        """Change what is known of entries, by path; vectors stay."""
        for start in range(0, len(entries), _ROWS):
            part = entries[start : start + _ROWS]
            with _blaming(self.uri):
                rows = self._client.get(self.collection, [_number(each.entry.path) for each in part], ['vector'])
            vectors = {row['id']: row['vector'] for row in rows}
            there = [each for each in part if _number(each.entry.path) in vectors]
            self._upsert(there, np.array([vectors[_number(each.entry.path)] for each in there], np.float32))

    def find(self, paths: Sequence[str]) -> dict[str, StoredEntry]:
        """Return those of some paths that are there."""
        found = {}
        for start in range(0, len(paths), _ROWS):
            for row in self._query(_among(paths[start : start + _ROWS]), self._fields()):
                stored = self._read(row)
                found[stored.entry.path] = stored
        return found

    def remove(self, where: Filter | None, paths: Sequence[str] | None) -> int:
        """Remove the entries that fulfill a condition and are among some paths; returns how many.

        No query finds them from then on. The server erases them from its disk when it next compacts, which is asked for
        here, and collects garbage, which its own settings time (`dataCoord.gc`).
        """
        parts = ['id >= 0']
        if paths is not None:
            parts = [_among(paths[start : start + _ROWS]) for start in range(0, len(paths), _ROWS)]
        removed = 0
        with _blaming(self.uri):
            for part in parts:
                condition = part if where is None else f'({part}) and ({to_milvus(where)})'
                removed += self._count(condition)
                self._client.delete(self.collection, filter=condition)
            self._client.flush(self.collection)
            self._client.compact(self.collection)
        return removed

    def search(self, query: Query, where: Filter | None, top: int) -> tuple[list[tuple[Entry, float]], int]:
        """Return the entries most similar to a query with their scores, best first, and how many passed the filter."""
        if top > _MOST_ANSWERS:
            raise ValueError(f'Milvus answers with at most {_MOST_ANSWERS:,} entries; top is {top:,}.')
        condition = '' if where is None else to_milvus(where)
        with _blaming(self.uri):
            (hits,) = self._client.search(
                self.collection,
                [join_query(query, self.dimension, self.shared)],
                filter=condition,
                limit=top,
                output_fields=self._fields(),
                search_params={'metric_type': 'IP'},
                consistency_level=_STRONG,
            )
            searched = self._count(condition)
        return [(self._read(hit['entity']).entry, float(hit['distance'])) for hit in hits], searched

    def count(self) -> int:
        """Number of entries."""
        with _blaming(self.uri):
            return self._count('')

    def iterate(self) -> Iterator[StoredEntry]:
        """Go through all entries, in no particular order that means anything."""
        with _blaming(self.uri):
            pages = self._client.query_iterator(
                self.collection, batch_size=_ROWS, filter='', output_fields=self._fields(), consistency_level=_STRONG
            )
            while rows := pages.next():
                yield from map(self._read, rows)
            pages.close()

    def verify(self) -> list[str]:
        """Say what is wrong with what is stored, a line for each fault."""
        with _blaming(self.uri):
            described = self._client.describe_collection(self.collection)
        lengths = [each['params'].get('dim') for each in described['fields'] if each['name'] == 'vector']
        wanted = self.dimension + self.shared
        faults = [] if lengths == [wanted] else [f'vectors have {lengths} numbers in the server, not {wanted}']
        seen = sum(1 for _ in self.iterate())
        count = self.count()
        return faults if seen == count else [*faults, f'the server counts {count:,} entries and lists {seen:,}']

    def size(self) -> int:
        """Bytes on this machine's disk."""
        return self.columns_file.stat().st_size

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()

    def drop(self) -> None:
        """Throw the collection away."""
        with _blaming(self.uri):
            self._client.drop_collection(self.collection)
        self.columns_file.unlink(missing_ok=True)

    # ------------------------------------------------------------------ the server

    def _create(self) -> None:
        from pymilvus import DataType

        if self._client.has_collection(self.collection):
            self._client.drop_collection(self.collection)
        self.declare({})
        schema = self._client.create_schema(auto_id=False, enable_dynamic_field=True)
        # Milvus keeps the columns of entries that have them; a path makes a poor key, as its quotes must be escaped.
        schema.add_field('id', DataType.INT64, is_primary=True)
        schema.add_field('path', DataType.VARCHAR, max_length=_LONGEST_PATH)
        schema.add_field('vector', DataType.FLOAT_VECTOR, dim=self.dimension + self.shared)
        index = self._client.prepare_index_params()
        index.add_index('vector', index_type='FLAT', metric_type='IP')
        self._client.create_collection(self.collection, schema=schema, index_params=index, consistency_level=_STRONG)

    def _upsert(self, entries: Sequence[StoredEntry], joined: np.ndarray) -> None:
        rows = []
        for stored, vector in zip(entries, joined, strict=True):
            known = {name: getattr(stored.entry, name) for name in _KNOWN}
            further = {field_name(name): value for name, value in stored.entry.columns.items()}
            file = {name: getattr(stored.file, name) for name in _FILE}
            cells = {name: value for name, value in {**known, **further, **file}.items() if value is not None}
            rows.append({'id': _number(stored.entry.path), 'vector': vector, **cells})
        with _blaming(self.uri):
            for start in range(0, len(rows), _ROWS):
                self._client.upsert(self.collection, rows[start : start + _ROWS])

    def _query(self, condition: str, fields: list[str]) -> list[dict[str, Any]]:
        with _blaming(self.uri):
            return list(
                self._client.query(self.collection, filter=condition, output_fields=fields, consistency_level=_STRONG)
            )

    def _count(self, condition: str) -> int:
        answer = self._client.query(
            self.collection, filter=condition, output_fields=['count(*)'], consistency_level=_STRONG
        )
        return int(answer[0]['count(*)'])

    def _fields(self) -> list[str]:
        return [*_FILE, *_KNOWN, *map(field_name, self.columns())]

    def _read(self, row: Mapping[str, Any]) -> StoredEntry:
        known: dict[str, Any] = {name: row.get(name) for name in _KNOWN}
        further = {name: (row.get(field_name(name)), kind) for name, kind in self.columns().items()}
        columns = {name: convert(value, kind) for name, (value, kind) in further.items() if value is not None}
        return StoredEntry(Entry(**known, columns=columns), FileState(*(row[name] for name in _FILE)))


def connect(uri: str) -> Any:
    """Connect to a server.

    Raises:
        ImportError: If pymilvus is not installed.
        ConnectionError: If no server answers.
    """
    try:
        from pymilvus import MilvusClient
    except ImportError as error:
        raise ImportError("The engine milvus needs pymilvus: pip install 'cmdg_plugin[gallery-milvus]'.") from error
    with _blaming(uri):
        return MilvusClient(uri, token=os.environ.get(TOKEN_VARIABLE, ''), timeout=30)


def drop_collections(uri: str, beginning: str, kept: int) -> None:
    """Throw away a gallery's collections, but for that of one version."""
    client = connect(uri)
    with _blaming(uri):
        for name in client.list_collections():
            version = name.removeprefix(f'{beginning}_')
            if name != version and version.isdigit() and int(version) != kept:
                client.drop_collection(name)
        client.close()


@contextmanager
def _blaming(uri: str) -> Iterator[None]:
    """Context in which what Milvus raises names the server."""
    from pymilvus.exceptions import MilvusException

    try:
        yield
    except MilvusException as error:
        text = ' '.join(str(error.message).split())
        raise ConnectionError(f'The Milvus server at {uri} does not answer as it should: {text[:300]}.') from error


def _number(path: str) -> int:
    """The key of a path: 63 bits of its hash, so that the same path is the same entry."""
    return int.from_bytes(hashlib.sha256(path.encode()).digest()[:8], 'big') >> 1


def _among(paths: Sequence[str]) -> str:
    return f'id in [{", ".join(str(_number(path)) for path in paths)}]'
