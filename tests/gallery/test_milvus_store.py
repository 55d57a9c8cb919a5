import builtins
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cmdg_plugin.gallery import milvus_store
from cmdg_plugin.gallery.entries import Entry
from cmdg_plugin.gallery.milvus_store import LISTS, MilvusStore
from cmdg_plugin.gallery.scoring import Query
from cmdg_plugin.gallery.store import FileState, StoredEntry

DIMENSION, SHARED, COUNT = 24, 8, 6000


def test_without_pymilvus_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = builtins.__import__

    def refuse(name: str, *args: Any) -> Any:
        if name.startswith('pymilvus'):
            raise ImportError(name)
        return real(name, *args)

    monkeypatch.setattr(builtins, '__import__', refuse)
    with pytest.raises(ImportError, match=r"pip install 'cmdg_plugin\[gallery-milvus\]'"):
        MilvusStore(tmp_path / 'c.json', 12, 5, uri='http://127.0.0.1:9', collection='x')


@pytest.mark.slow
def test_a_server_that_is_not_there_is_named_in_one_line(tmp_path: Path) -> None:
    pytest.importorskip('pymilvus')
    make = 'MilvusStore(Path("c.json"), 12, 5, uri="http://127.0.0.1:9", collection="x")'
    imports = 'from pathlib import Path; from cmdg_plugin.gallery.milvus_store import MilvusStore'
    command = [sys.executable, '-c', f'{imports}; {make}']
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert 'ConnectionError: The Milvus server at http://127.0.0.1:9 does not answer' in run.stderr.splitlines()[-1]
    # The traceback of what was raised, and nothing that the client logs before.
    assert run.stderr.startswith('Traceback')
    assert 'ERROR' not in run.stderr


@pytest.mark.slow
def test_columns_that_are_not_ours_are_damage(milvus: Any, tmp_path: Path) -> None:
    store = MilvusStore(tmp_path / 'c.json', DIMENSION, SHARED, uri=milvus.uri, collection='columns', create=True)
    for text in ('no JSON', '[]', '{"floor": "blob"}', '{"floor": ["int"]}', '{"a) or (1": "int"}'):
        store.columns_file.write_text(text)
        with pytest.raises(ValueError, match=r'c\.json is damaged'):
            store.columns()


@pytest.fixture(scope='module')
def vectors() -> np.ndarray:
    """Some people, ten images each."""
    rng = np.random.default_rng(0)
    people = rng.standard_normal((COUNT // 10, DIMENSION)).repeat(10, axis=0)
    vectors = people + 0.5 * rng.standard_normal((COUNT, DIMENSION))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def fill(store: MilvusStore, vectors: np.ndarray) -> None:
    state = FileState(1, 2, 'x')
    store.add([StoredEntry(Entry(f'/secret/{n:06d}.jpg', camera=n % 3), state) for n in range(len(vectors))], vectors)


def nearest(vectors: np.ndarray, query: np.ndarray, top: int) -> set[str]:
    return {f'/secret/{n:06d}.jpg' for n in np.argsort(-(vectors @ query))[:top]}


@pytest.mark.slow
def test_an_approximate_index_says_how_much_it_finds(milvus: Any, vectors: np.ndarray, tmp_path: Path) -> None:
    options = dict(uri=milvus.uri, collection='approximate')
    store = MilvusStore(tmp_path / 'c.json', DIMENSION, SHARED, **options, approximate=LISTS // 64, create=True)
    fill(store, vectors)
    recall = store.recall()
    assert recall is not None
    queries, found, wanted = vectors[::200], 0, 0
    for number, query in enumerate(queries):
        hits, searched = store.search(Query(query, None), None, 21)
        assert searched == COUNT
        itself = {f'/secret/{200 * number:06d}.jpg'}
        right = nearest(vectors, query, 21) - itself
        found, wanted = found + len(right & {entry.path for entry, _ in hits}), wanted + len(right)
    # Measured on other queries, and lists differ from one server to the next.
    assert recall == pytest.approx(found / wanted, abs=0.15)
    assert 0.2 < recall < 0.999
    # With all lists, the same index is exact.
    whole = MilvusStore(tmp_path / 'c.json', DIMENSION, SHARED, **options, approximate=LISTS)
    for query in queries:
        hits, _ = whole.search(Query(query, None), None, 20)
        assert {entry.path for entry, _ in hits} == nearest(vectors, query, 20)
    assert whole.recall() == 1
    exact = MilvusStore(tmp_path / 'e.json', DIMENSION, SHARED, uri=milvus.uri, collection='exact', create=True)
    assert exact.recall() is None


@pytest.mark.slow
def test_what_is_removed_leaves_the_files_once_garbage_is_collected(
    milvus: Any, vectors: np.ndarray, tmp_path: Path
) -> None:
    vectors = np.ascontiguousarray(vectors[:, ::-1])  # no other collection holds these
    store = MilvusStore(tmp_path / 'c.json', DIMENSION, SHARED, uri=milvus.uri, collection='removal', create=True)
    fill(store, vectors)
    store._client.flush('removal')  # as the server does by itself after a while
    removed, kept = (vectors[n, 2:8].tobytes() for n in (7, 8))
    assert in_time(lambda: holds(milvus.folder, kept) and holds(milvus.folder, removed))
    assert store.remove(None, ['/secret/000007.jpg']) == 1
    assert store.count() == COUNT - 1
    assert in_time(lambda: not holds(milvus.folder, removed))
    assert holds(milvus.folder, kept)


@pytest.mark.slow
def test_removal_waits_until_every_file_that_held_a_row_is_written_anew(
    milvus: Any,
    vectors: np.ndarray,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    log: pytest.LogCaptureFixture,
) -> None:
    """The server's first plan is often one for other files, or for another collection."""
    options = dict(uri=milvus.uri, create=True)
    other = MilvusStore(tmp_path / 'o.json', DIMENSION, SHARED, collection='beside', **options)
    store = MilvusStore(tmp_path / 'c.json', DIMENSION, SHARED, collection='files', **options)
    fill(other, vectors[: COUNT // 2])
    other._client.flush('beside')
    other._client.delete('beside', filter='path == "/secret/000003.jpg"')
    for part in (vectors[: COUNT // 2], vectors):  # the second time, half of them are replaced
        fill(store, part)
        store._client.flush('files')

    def rows_in_files() -> int:
        return sum(segment.num_rows for segment in store._client.list_persistent_segments('files'))

    monkeypatch.setattr(milvus_store, '_WAIT_FOR_FILES', 0)
    newest = f'/secret/{COUNT - 1:06d}.jpg'
    assert store.remove(None, [newest]) == 1
    assert rows_in_files() > COUNT - 1
    assert 'Remove again, even if nothing more is found' in log.text
    monkeypatch.undo()
    assert store.remove(None, [newest]) == 0
    assert rows_in_files() == store.count() == COUNT - 1


def in_time(reached: Callable[[], bool], seconds: float = 300) -> bool:
    """Whether a state is reached in time; a server that shares its cores needs minutes for what takes seconds."""
    end = time.monotonic() + seconds
    while not reached():
        if time.monotonic() > end:
            return False
        time.sleep(1)
    return True


def holds(folder: Path, piece: bytes) -> bool:
    """Whether a file of vectors holds some bytes; the log of messages keeps its own time."""
    for path in (folder / 'data' / 'insert_log').rglob('*'):
        try:
            if path.is_file() and piece in path.read_bytes():
                return True
        except FileNotFoundError:  # collected meanwhile
            continue
    return False
