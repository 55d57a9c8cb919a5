"""Databases that could store a gallery, behind one small interface, for `benchmark_gallery.py`."""

import sqlite3
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from cmdg_plugin.gallery.entries import Entry
from cmdg_plugin.gallery.filters import Comparison
from cmdg_plugin.gallery.milvus_store import MilvusStore
from cmdg_plugin.gallery.scoring import Query
from cmdg_plugin.gallery.sqlite_store import SQLiteStore
from cmdg_plugin.gallery.store import FileState, GalleryStore, StoredEntry

SHARED = 512


class Candidate(Protocol):
    """Images named `image_NUMBER` with a camera and a vector of length one."""

    def add(self, first: int, cameras: np.ndarray, vectors: np.ndarray) -> None:
        """Add images, numbered from the first on; on disk when this returns."""

    def search(self, vector: np.ndarray, camera: int | None, top: int) -> list[str]:
        """Names of the most similar images, of one camera or of all."""

    def remove(self, camera: int) -> None:
        """Remove a camera's images, from the disk too where that can be done."""

    def count(self) -> int:
        """Number of images."""

    def settle(self) -> None:
        """Wait for what is done after adding."""


class Nothing:
    """For databases that are done when adding returns."""

    def settle(self) -> None:
        """See `Candidate`."""


class Ours:
    """An engine of this project.

    Args:
        store: The engine.
    """

    def __init__(self, store: GalleryStore) -> None:
        self.store = store

    def add(self, first: int, cameras: np.ndarray, vectors: np.ndarray) -> None:
        """See `Candidate`."""
        state = FileState(0, 0, '')
        names = (f'image_{first + place}' for place in range(len(cameras)))
        entries = [StoredEntry(Entry(name, camera=int(c)), state) for name, c in zip(names, cameras, strict=True)]
        self.store.add(entries, vectors)

    def search(self, vector: np.ndarray, camera: int | None, top: int) -> list[str]:
        """See `Candidate`."""
        where = None if camera is None else Comparison('camera', '==', camera)
        found, _ = self.store.search(Query(vector, None), where, top)
        return [entry.path for entry, _ in found]

    def remove(self, camera: int) -> None:
        """See `Candidate`."""
        self.store.remove(Comparison('camera', '==', camera), None)

    def count(self) -> int:
        """See `Candidate`."""
        return self.store.count()

    def settle(self) -> None:
        """See `Candidate`."""
        self.store.recall()


class FaissAndSQLite(Nothing):
    """FAISS's flat index in memory, rows and vectors in SQLite; filters become lists of numbers."""

    def __init__(self, folder: Path, dimension: int) -> None:
        self.faiss = faiss = import_module('faiss')
        self.index = faiss.IndexIDMap2(faiss.IndexFlatIP(dimension))
        self.database = sqlite3.connect(folder / 'rows.sqlite')
        self.database.execute('PRAGMA secure_delete = ON')
        self.database.execute('CREATE TABLE IF NOT EXISTS rows (id INTEGER PRIMARY KEY, camera INTEGER, vector BLOB)')
        cursor = self.database.execute('SELECT id, vector FROM rows ORDER BY id')
        while rows := cursor.fetchmany(4096):
            vectors = np.frombuffer(b''.join(row[1] for row in rows), np.float32).reshape(len(rows), dimension)
            self.index.add_with_ids(vectors, np.array([row[0] for row in rows]))

    def add(self, first: int, cameras: np.ndarray, vectors: np.ndarray) -> None:
        """See `Candidate`."""
        numbers = np.arange(first, first + len(cameras))
        with self.database:
            rows = zip(numbers.tolist(), cameras.tolist(), (vector.tobytes() for vector in vectors), strict=True)
            self.database.executemany('INSERT INTO rows VALUES (?, ?, ?)', rows)
        self.index.add_with_ids(vectors, numbers)

    def search(self, vector: np.ndarray, camera: int | None, top: int) -> list[str]:
        """See `Candidate`."""
        options = None
        if camera is not None:
            rows = self.database.execute('SELECT id FROM rows WHERE camera = ?', (camera,))
            chosen = np.fromiter((row[0] for row in rows), np.int64)
            options = self.faiss.SearchParameters(sel=self.faiss.IDSelectorBatch(chosen))
        _, numbers = self.index.search(vector[None], top, params=options)
        return [f'image_{number}' for number in numbers[0].tolist()]

    def remove(self, camera: int) -> None:
        """See `Candidate`."""
        rows = self.database.execute('SELECT id FROM rows WHERE camera = ?', (camera,))
        chosen = np.fromiter((row[0] for row in rows), np.int64)
        with self.database:
            self.database.execute('DELETE FROM rows WHERE camera = ?', (camera,))
        self.index.remove_ids(self.faiss.IDSelectorBatch(chosen))

    def count(self) -> int:
        """See `Candidate`."""
        return int(self.index.ntotal)


class Lance(Nothing):
    """LanceDB without an index."""

    def __init__(self, folder: Path, dimension: int) -> None:
        self.arrow = pa = import_module('pyarrow')
        vector = pa.list_(pa.float32(), dimension)
        self.schema = pa.schema([('name', pa.string()), ('camera', pa.int64()), ('vector', vector)])
        database = import_module('lancedb').connect(folder)
        self.table = database.create_table('images', schema=self.schema, exist_ok=True)

    def add(self, first: int, cameras: np.ndarray, vectors: np.ndarray) -> None:
        """See `Candidate`."""
        pa = self.arrow
        names = [f'image_{first + place}' for place in range(len(cameras))]
        lists = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
        self.table.add(pa.record_batch([pa.array(names), pa.array(cameras), lists], schema=self.schema))

    def search(self, vector: np.ndarray, camera: int | None, top: int) -> list[str]:
        """See `Candidate`."""
        search = self.table.search(vector).distance_type('dot').select(['name', '_distance']).limit(top)
        if camera is not None:
            search = search.where(f'camera = {camera}', prefilter=True)
        return list(search.to_arrow()['name'].to_pylist())

    def remove(self, camera: int) -> None:
        """See `Candidate`."""
        self.table.delete(f'camera = {camera}')
        self.table.optimize(cleanup_older_than=timedelta(0), delete_unverified=True)

    def count(self) -> int:
        """See `Candidate`."""
        return int(self.table.count_rows())


class DuckDB(Nothing):
    """DuckDB's arrays, with their inner product in SQL."""

    def __init__(self, folder: Path, dimension: int) -> None:
        import duckdb

        self.dimension = dimension
        self.database = duckdb.connect(str(folder / 'images.duckdb'), config={'threads': 2, 'memory_limit': '4GB'})
        self.database.execute(
            f'CREATE TABLE IF NOT EXISTS images (name VARCHAR, camera INTEGER, vector FLOAT[{dimension}])'
        )

    def add(self, first: int, cameras: np.ndarray, vectors: np.ndarray) -> None:
        """See `Candidate`."""
        import pyarrow as pa

        names = [f'image_{first + place}' for place in range(len(cameras))]
        lists = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), self.dimension)
        batch = pa.table({'name': names, 'camera': cameras, 'vector': lists})
        self.database.register('batch', batch)
        self.database.execute('INSERT INTO images SELECT * FROM batch')
        self.database.unregister('batch')

    def search(self, vector: np.ndarray, camera: int | None, top: int) -> list[str]:
        """See `Candidate`."""
        condition = '' if camera is None else f'WHERE camera = {camera}'
        rows = self.database.execute(
            f'SELECT name, array_inner_product(vector, ?::FLOAT[{self.dimension}]) AS score FROM images {condition} '
            'ORDER BY score DESC LIMIT ?',
            [vector.tolist(), top],
        )
        return [name for name, _ in rows.fetchall()]

    def remove(self, camera: int) -> None:
        """See `Candidate`."""
        self.database.execute('DELETE FROM images WHERE camera = ?', [camera])
        self.database.execute('CHECKPOINT')

    def count(self) -> int:
        """See `Candidate`."""
        return int(self.database.execute('SELECT COUNT(*) FROM images').fetchall()[0][0])


class MilvusLite(Nothing):
    """Milvus Lite with the index FLAT."""

    def __init__(self, folder: Path, dimension: int) -> None:
        from pymilvus import DataType, MilvusClient

        self.client = MilvusClient(str(folder / 'milvus.db'))
        if not self.client.has_collection('images'):
            schema = self.client.create_schema(auto_id=False)
            schema.add_field('name', DataType.VARCHAR, max_length=64, is_primary=True)
            schema.add_field('camera', DataType.INT64)
            schema.add_field('vector', DataType.FLOAT_VECTOR, dim=dimension)
            index = self.client.prepare_index_params()
            index.add_index('vector', index_type='FLAT', metric_type='IP')
            self.client.create_collection('images', schema=schema, index_params=index)
        self.client.load_collection('images')

    def add(self, first: int, cameras: np.ndarray, vectors: np.ndarray) -> None:
        """See `Candidate`."""
        rows = [
            {'name': f'image_{first + place}', 'camera': int(camera), 'vector': vector}
            for place, (camera, vector) in enumerate(zip(cameras, vectors, strict=True))
        ]
        self.client.insert('images', rows)

    def search(self, vector: np.ndarray, camera: int | None, top: int) -> list[str]:
        """See `Candidate`."""
        condition = '' if camera is None else f'camera == {camera}'
        (hits,) = self.client.search('images', [vector], limit=top, filter=condition, output_fields=['name'])
        return [hit['entity']['name'] for hit in hits]

    def remove(self, camera: int) -> None:
        """See `Candidate`."""
        self.client.delete('images', filter=f'camera == {camera}')

    def count(self) -> int:
        """See `Candidate`."""
        return int(self.client.query('images', filter='', output_fields=['count(*)'])[0]['count(*)'])


def _embedded(folder: Path, dimension: int, memory: int) -> Candidate:
    path = folder / 'entries.sqlite'
    return Ours(SQLiteStore(path, dimension, SHARED, memory=memory, create=not path.exists()))


def _milvus(folder: Path, dimension: int, uri: str, approximate: int = 0) -> Candidate:
    columns = folder / 'columns.json'
    options: dict[str, Any] = dict(uri=uri, collection='cmdg_benchmark', approximate=approximate)
    return Ours(MilvusStore(columns, dimension, SHARED, **options, create=not columns.exists()))


CANDIDATES: Mapping[str, Callable[..., Any]] = {
    'embedded': _embedded,
    'milvus': _milvus,
    'milvus-approximate': partial(_milvus, approximate=64),
    'faiss+sqlite': FaissAndSQLite,
    'lancedb': Lance,
    'duckdb': DuckDB,
    'milvus-lite': MilvusLite,
}
"""By name, what opens or makes one in a folder, given the length of vectors."""
