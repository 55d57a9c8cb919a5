"""What is kept in memory and what is read again; searches over both: test_stores.py."""

import sqlite3

import numpy as np
import pytest

from cmdg_plugin.gallery import stored_vectors
from cmdg_plugin.gallery.stored_vectors import StoredVectors, read_ids

VECTORS = np.array([[1, 0, 0], [0, 0.6, 0.8], [0, 0, 1], [0.6, 0, 0.8], [0, 1, 0]], np.float32)
BYTES = 12


@pytest.fixture
def database() -> sqlite3.Connection:
    """Entries 1 to 5, with every second one in camera 2."""
    database = sqlite3.connect(':memory:', isolation_level=None)
    database.execute('CREATE TABLE entries (id INTEGER PRIMARY KEY, camera INTEGER)')
    database.execute('CREATE TABLE vectors (id INTEGER PRIMARY KEY, vector BLOB)')
    for number, vector in enumerate(VECTORS, start=1):
        add(database, number, vector)
    return database


@pytest.fixture(autouse=True)
def two_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_vectors, 'ROWS', 2)


def add(database: sqlite3.Connection, number: int, vector: np.ndarray) -> None:
    database.execute('INSERT INTO entries VALUES (?, ?)', (number, 1 + number % 2))
    database.execute('INSERT INTO vectors VALUES (?, ?)', (number, vector.tobytes()))


def numbers(vectors: StoredVectors, database: sqlite3.Connection, condition: str = '1') -> list[list[int]]:
    """The numbers of each block, once what is in memory is up to date."""
    vectors.refresh(database)
    return [ids.tolist() for ids, _, _ in vectors.blocks(database, condition, ())]


def reads(database: sqlite3.Connection, vectors: StoredVectors, condition: str = '1') -> list[str]:
    """The vectors that a search reads from the file, as conditions of SQL."""
    seen: list[str] = []
    database.set_trace_callback(seen.append)
    numbers(vectors, database, condition)
    database.set_trace_callback(None)
    return [line.partition(' WHERE ')[2] for line in seen if line.startswith('SELECT entries.id, vector')]


def test_vectors_come_back_with_the_scale_of_their_shared_part(database: sqlite3.Connection) -> None:
    ids, vectors, scales = zip(*StoredVectors(3, 2, 0).read(database), strict=True)
    assert [each.tolist() for each in ids] == [[1, 2], [3, 4], [5]]
    assert np.array_equal(np.concatenate(vectors), VECTORS)
    # The last two numbers have lengths 0, 1, 1, 0.8 and 1.
    assert np.concatenate(scales)[1:] == pytest.approx([1, 1, 1.25, 1])


@pytest.mark.parametrize(('room', 'kept'), [(0, 0), (1, 0), (2, 2), (3, 2), (4, 4), (5, 5), (100, 5)])
def test_as_many_as_there_is_room_for_stay(database: sqlite3.Connection, room: int, kept: int) -> None:
    vectors = StoredVectors(3, 2, room * BYTES)
    assert [number for block in numbers(vectors, database) for number in block] == [1, 2, 3, 4, 5]
    assert reads(database, vectors) == [f'entries.id > {kept} AND 1 ORDER BY entries.id']


def test_a_condition_is_asked_of_the_file_alone(database: sqlite3.Connection) -> None:
    """`scan` itself leaves out those in memory that are not chosen."""
    assert numbers(StoredVectors(3, 2, 2 * BYTES), database, 'camera = 2') == [[1, 2], [3, 5]]


def test_what_changes_is_noticed(database: sqlite3.Connection) -> None:
    vectors = StoredVectors(3, 2, 4 * BYTES)
    assert numbers(vectors, database) == [[1, 2], [3, 4], [5]]
    for number in (1, 3, 4):
        database.execute('DELETE FROM entries WHERE id = ?', (number,))
        database.execute('DELETE FROM vectors WHERE id = ?', (number,))
    assert numbers(vectors, database) == [[2, 5]]
    add(database, 6, VECTORS[0])
    add(database, 7, VECTORS[1])
    assert numbers(vectors, database) == [[2, 5], [6, 7]]
    (_, first, scale), (_, second, _) = vectors.blocks(database, '1', ())
    assert np.array_equal(np.concatenate([first, second]), VECTORS[[1, 4, 0, 1]])
    assert scale == pytest.approx([1, 1])


def test_numbers_of_a_query(database: sqlite3.Connection) -> None:
    assert read_ids(database.execute('SELECT id FROM entries WHERE camera = 1 ORDER BY id')).tolist() == [2, 4]
    assert read_ids(database.execute('SELECT id FROM entries WHERE camera = 9')).shape == (0,)
