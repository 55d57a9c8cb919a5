"""The distributed engine: a Milvus server, for those who outgrow one machine."""

import hashlib
import json
import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from cmdg_plugin.files.writing import write_whole
from cmdg_plugin.gallery.columns import KIND_NAMES, KNOWN_COLUMNS, field_name, read_kinds
from cmdg_plugin.gallery.entries import Entry
from cmdg_plugin.gallery.filter_languages import to_milvus
from cmdg_plugin.gallery.filters import Filter
from cmdg_plugin.gallery.scoring import Query, join_for_products, join_query
from cmdg_plugin.gallery.store import FileState, StoredEntry, from_fields, in_parts, to_fields
from cmdg_plugin.saying import on_one_line, warn

TOKEN_VARIABLE = 'MILVUS_TOKEN'
_LONGEST_PATH = 8192
_ROWS = 1000
_MOST_ANSWERS = 16_384
LISTS = 1024
"""Into how many lists an approximate index divides vectors."""

_SAMPLE, _NEAREST = 50, 20
_WAIT_FOR_INDEX = 600
_WAIT_FOR_FILES = 120
_LEAST_INDEXED = 1024  # rows of a segment for which the server builds an index
_STRONG = 'Strong'


class MilvusStore:
    """Entries and vectors in a collection of a Milvus server, searched exactly or approximately.

    Exactly is index FLAT; approximately is IVF_FLAT, which divides vectors into 1,024 lists and compares the query with
    those of the nearest lists alone. Reads see every change that was made before them, by any client. The token, if the
    server asks for one, is read from the environment variable MILVUS_TOKEN and stored nowhere.

    Args:
        columns_file: Where the types of further columns are kept, in the gallery's folder.
        dimension: Length W + D of retrieval features.
        shared: D, the length of their shared part.
        uri: Address of the server.
        collection: Name of the collection.
        approximate: How many lists an approximate search looks at, up to 1,024; 0 makes searches exact. Whether it is 0
            is settled when the collection is made.
        create: Whether to make the collection; one of that name is thrown away.

    Raises:
        ImportError: If pymilvus is not installed.
        ConnectionError: If no server answers.
        FileNotFoundError: If the server has no such collection.
    """

    def __init__(
        self,
        columns_file: Path,
        dimension: int,
        shared: int,
        *,
        uri: str,
        collection: str,
        approximate: int = 0,
        create: bool = False,
    ) -> None:
        self.columns_file = columns_file
        self.dimension = dimension
        self.shared = shared
        self.uri = uri
        self.collection = collection
        self.approximate = approximate
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
        write_whole(self.columns_file, json.dumps({name: KIND_NAMES[kind] for name, kind in columns.items()}))

    def columns(self) -> dict[str, type]:
        """Further columns and their types."""
        try:
            return read_kinds(json.loads(self.columns_file.read_bytes()).items())
        except (ValueError, AttributeError, RecursionError) as error:
            raise ValueError(f'{self.columns_file} is damaged ({error}).') from error

    def add(self, entries: Sequence[StoredEntry], vectors: np.ndarray) -> None:
        """Add entries, or replace those of the same path, with their retrieval features (N, W + D)."""
        self._upsert(entries, join_for_products(vectors, self.shared))

    def update(self, entries: Sequence[StoredEntry]) -> None:
        """Change what is known of entries, by path; vectors stay."""
        for part in in_parts(entries, _ROWS):
            rows = self._query(_among([each.entry.path for each in part]), ['vector'])
            vectors = {row['id']: row['vector'] for row in rows}
            there = [each for each in part if _number(each.entry.path) in vectors]
            self._upsert(there, np.array([vectors[_number(each.entry.path)] for each in there], np.float32))

    def find(self, paths: Sequence[str]) -> dict[str, StoredEntry]:
        """Return those of some paths that are there."""
        fields, columns = self._fields(), self.columns()
        rows = (row for part in in_parts(paths, _ROWS) for row in self._query(_among(part), fields))
        return {row['path']: from_fields(row, columns) for row in rows}

    def remove(self, where: Filter | None, paths: Sequence[str] | None) -> int:
        """Remove the entries that fulfill a condition and are among some paths; returns how many.

        No query finds them from then on. The server is asked to write its files anew without them, which is waited
        for; a warning says where two minutes were not enough. It erases the old files, and its log of messages, when
        its own settings say (`dataCoord.gc`, retention of the message queue).
        """
        parts = ['id >= 0'] if paths is None else map(_among, in_parts(paths, _ROWS))
        removed = 0
        with _blaming(self.uri):
            for part in parts:
                condition = part if where is None else f'({part}) and ({to_milvus(where)})'
                removed += self._count(condition)
                self._client.delete(self.collection, filter=condition)
            # Also what an earlier removal did not wait for.
            if removed or self._dead_rows():
                self._compact()
        return removed

    def search(self, query: Query, where: Filter | None, top: int) -> tuple[list[tuple[Entry, float]], int]:
        """Return the entries most similar to a query with their scores, best first, and how many passed the filter."""
        if top > _MOST_ANSWERS:
            raise ValueError(f'Milvus answers with at most {_MOST_ANSWERS:,} entries; top is {top:,}.')
        condition = '' if where is None else to_milvus(where)
        with _blaming(self.uri):
            (hits,) = self._nearest([query], self.approximate, top, condition, self._fields())
            searched = self._count(condition)
        columns = self.columns()
        return [(from_fields(hit['entity'], columns).entry, float(hit['distance'])) for hit in hits], searched

    def recall(self) -> float | None:
        """Share of the nearest entries that searches find, measured on a sample; None where all are compared.

        Entries are the queries, each without itself. A search that looks at all lists is exact once the index is built,
        which is waited for.

        Raises:
            TimeoutError: If the index is not built in ten minutes.
        """
        if not self.approximate:
            return None
        with _blaming(self.uri):
            self._wait_for_index()
            # Their numbers are hashes, so that the first ones are drawn at random.
            rows = self._query('id >= 0', ['vector'], limit=_SAMPLE)
            queries = [Query(np.array(row['vector'][: self.dimension], np.float32), None) for row in rows]
            found, wanted = (
                [{hit['id'] for hit in hits} - {row['id']} for row, hits in zip(rows, answer, strict=True)]
                for answer in (self._nearest(queries, lists, _NEAREST + 1) for lists in (self.approximate, LISTS))
            )
        best = sum(map(len, wanted))
        return sum(len(a & b) for a, b in zip(found, wanted, strict=True)) / best if best else 1.0

    def count(self) -> int:
        """Number of entries."""
        return self._count('')

    def iterate(self) -> Iterator[StoredEntry]:
        """Go through all entries, in no particular order that means anything."""
        columns = self.columns()
        with _blaming(self.uri):
            pages = self._client.query_iterator(
                self.collection, batch_size=_ROWS, filter='', output_fields=self._fields(), consistency_level=_STRONG
            )
            while rows := pages.next():
                for row in rows:
                    yield from_fields(row, columns)
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
        self.close()

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
        kind, settings = ('IVF_FLAT', {'nlist': LISTS}) if self.approximate else ('FLAT', {})
        index.add_index('vector', index_type=kind, metric_type='IP', params=settings)
        self._client.create_collection(self.collection, schema=schema, index_params=index, consistency_level=_STRONG)

    def _upsert(self, entries: Sequence[StoredEntry], joined: np.ndarray) -> None:
        rows = []
        for stored, vector in zip(entries, joined, strict=True):
            cells = {name: value for name, value in to_fields(stored).items() if value is not None}
            rows.append({'id': _number(stored.entry.path), 'vector': vector, **cells})
        with _blaming(self.uri):
            for start in range(0, len(rows), _ROWS):
                self._client.upsert(self.collection, rows[start : start + _ROWS])

    def _nearest(
        self, queries: Sequence[Query], lists: int, top: int, condition: str = '', fields: Sequence[str] = ()
    ) -> Any:
        return self._client.search(
            self.collection,
            [join_query(query, self.dimension, self.shared) for query in queries],
            filter=condition,
            limit=top,
            output_fields=list(fields),
            search_params={'metric_type': 'IP', 'params': {'nprobe': lists} if lists else {}},
            consistency_level=_STRONG,
        )

    def _compact(self) -> None:
        """Have the server write its files anew until none holds what is removed.

        A plan alone does not say so: it may be one for other files, even for those of another collection, or be made
        before the server knows what is removed from a file, and it may fail.
        """
        self._client.flush(self.collection)
        job, end = None, time.monotonic() + _WAIT_FOR_FILES
        while dead := self._dead_rows():
            if job is None or self._client.get_compaction_state(job) != 'Executing':
                job = self._client.compact(self.collection)
            if time.monotonic() > end:
                warn(
                    f'The Milvus server at {self.uri} has not written the files of {self.collection} anew in '
                    f'{_WAIT_FOR_FILES} seconds: {dead:,} removed or replaced rows are still in them. Remove again, '
                    'even if nothing more is found, to ask it again.'
                )
                return
            time.sleep(1)

    def _dead_rows(self) -> int:
        """How many rows the server's files hold beyond the entries that there are."""
        return max(0, self._stored_rows() - self._count(''))

    def _stored_rows(self) -> int:
        """How many rows the server's files hold; what is not flushed is in none."""
        return sum(segment.num_rows for segment in self._client.list_persistent_segments(self.collection))

    def _wait_for_index(self) -> None:
        """Wait until searches use the index on all entries; until then, they use a makeshift one on some."""
        self._client.flush(self.collection)
        # More than there are entries, if some were removed: entries alone would not tell that a segment is missing.
        stored, end = self._stored_rows(), time.monotonic() + _WAIT_FOR_INDEX
        while True:
            segments = self._client.list_loaded_segments(self.collection)
            indexed = (
                segment.num_rows for segment in segments if segment.index_id or segment.num_rows < _LEAST_INDEXED
            )
            if sum(indexed) >= stored:
                return
            if time.monotonic() > end:
                raise TimeoutError(
                    f'The server has not built the index of {self.collection} in {_WAIT_FOR_INDEX} seconds.'
                )
            time.sleep(1)

    def _query(self, condition: str, fields: list[str], **more: Any) -> list[dict[str, Any]]:
        with _blaming(self.uri):
            return list(
                self._client.query(
                    self.collection, filter=condition, output_fields=fields, consistency_level=_STRONG, **more
                )
            )

    def _count(self, condition: str) -> int:
        return int(self._query(condition, ['count(*)'])[0]['count(*)'])

    def _fields(self) -> list[str]:
        return [*FileState.__slots__, *KNOWN_COLUMNS, *map(field_name, self.columns())]


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
    # It logs what it raises, with a traceback, before we can say it in a line.
    logging.getLogger('pymilvus').setLevel(logging.CRITICAL)
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
        text = on_one_line(error.message)
        raise ConnectionError(f'The Milvus server at {uri} does not answer as it should: {text}.') from error


def _number(path: str) -> int:
    """The key of a path: 63 bits of its hash, so that the same path is the same entry."""
    return int.from_bytes(hashlib.sha256(path.encode()).digest()[:8], 'big') >> 1


def _among(paths: Sequence[str]) -> str:
    return f'id in [{", ".join(str(_number(path)) for path in paths)}]'
