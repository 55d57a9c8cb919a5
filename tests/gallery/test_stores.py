"""What every engine must do, on both of them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cmdg_plugin.gallery.engines import complete_options, drop_others, open_store
from cmdg_plugin.gallery.entries import Entry
from cmdg_plugin.gallery.filters import parse_filter
from cmdg_plugin.gallery.manifest import Manifest
from cmdg_plugin.gallery.scoring import Query, shared_scale, similarities
from cmdg_plugin.gallery.store import FileState, GalleryStore, StoredEntry

DIMENSION, SHARED, COUNT = 12, 5, 60
COLUMNS = {'path': str, 'identity': str, 'camera': int, 'time': str, 'caption': str, 'floor': float, 'shop': str}


def make_vectors(count: int = COUNT, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((count, DIMENSION)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def make_entry(number: int) -> Entry:
    """Every second one knows its person, every third its camera, every fourth its floor; names are awkward."""
    return Entry(
        f'/images/"{number}" \\ it\'s a\nfile 😀€.jpg',
        str(number % 7) if number % 2 else None,
        number % 5 if number % 3 else None,
        f'2026-05-{1 + number % 28:02d}T08:00:00',
        'a "red" coat' if number % 10 == 0 else None,
        {'floor': number / 4, 'shop': '007 😀'} if number % 4 == 0 else {},
    )


ENTRIES = [
    StoredEntry(make_entry(number), FileState(number, number * 10**9, f'{number:064x}')) for number in range(COUNT)
]


@pytest.fixture(params=['embedded', pytest.param('milvus', marks=pytest.mark.slow)])
def manifest(request: pytest.FixtureRequest) -> Manifest:
    options = {'uri': request.getfixturevalue('milvus').uri} if request.param == 'milvus' else {}
    return Manifest(request.param, 1, 'model.pth', 'hash', DIMENSION, SHARED, complete_options(request.param, options))


@pytest.fixture
def store(manifest: Manifest, tmp_path: Path) -> GalleryStore:
    store = open_store(tmp_path, manifest, create=True)
    store.declare({'floor': float, 'shop': str})
    store.add(ENTRIES[:40], make_vectors()[:40])
    store.add(ENTRIES[40:], make_vectors()[40:])
    return store


def test_all_comes_back(store: GalleryStore, manifest: Manifest, tmp_path: Path) -> None:
    store.close()
    again = open_store(tmp_path, manifest)
    assert again.count() == COUNT
    assert again.columns() == {'floor': float, 'shop': str}
    assert sorted(again.iterate(), key=lambda each: each.file.size) == ENTRIES
    paths = [ENTRIES[3].entry.path, 'not there', ENTRIES[50].entry.path]
    assert again.find(paths) == {ENTRIES[n].entry.path: ENTRIES[n] for n in (3, 50)}
    assert again.find([]) == {}
    assert again.verify() == []
    assert again.size() > 0


FILTERS: list[tuple[str | None, Callable[[Entry], bool]]] = [
    (None, lambda e: True),
    ('camera == 3', lambda e: e.camera == 3),
    ('camera != 3', lambda e: e.camera is not None and e.camera != 3),
    ('not camera in (1, 2)', lambda e: e.camera is not None and e.camera not in (1, 2)),
    ('camera in ()', lambda e: False),
    ('camera is None', lambda e: e.camera is None),
    ('camera >= 2.5 or identity == "3"', lambda e: (e.camera or 0) >= 2.5 or e.identity == '3'),
    ('time < "2026-05-10" and floor > 2', lambda e: e.time < '2026-05-10' and e.columns.get('floor', 0) > 2),
    ('shop == "007 😀" and not (floor <= 5 and camera is not None)',
     lambda e: 'shop' in e.columns and (e.columns['floor'] > 5 or e.camera is None)),
    ('caption == "a \\"red\\" coat"', lambda e: e.caption is not None),
    ('path == "/images/\\"7\\" \\\\ it\'s a\\nfile 😀€.jpg"', lambda e: '"7"' in e.path),
    ('floor in (1, 2.5, 3)', lambda e: e.columns.get('floor') in (1, 2.5, 3)),
    ('floor not in (1, 2.5, 3)', lambda e: 'floor' in e.columns and e.columns['floor'] not in (1, 2.5, 3)),
    ('shop in ("007 😀", "008")', lambda e: 'shop' in e.columns),
    # As much as a filter may hold.
    (f'camera in ({", ".join(map(str, range(3, 9_503)))})' + ' or camera == 3' * 499, lambda e: e.camera in (3, 4)),
    ('path != "x" and path is not None', lambda e: True),
]  # fmt: skip


@pytest.mark.parametrize('kind', ['image', 'text', 'both'])
def test_search_against_all_similarities(store: GalleryStore, kind: str) -> None:
    vectors, rng = make_vectors(), np.random.default_rng(5)
    image, text = (v / np.linalg.norm(v) for v in (rng.standard_normal(DIMENSION), rng.standard_normal(SHARED)))
    query = Query(image if kind != 'text' else None, text if kind != 'image' else None, 0.3)
    scores = similarities(query, vectors, shared_scale(vectors, SHARED))
    for where, holds in FILTERS:
        rows = [row for row in range(COUNT) if holds(ENTRIES[row].entry)]
        rows.sort(key=lambda row: -scores[row])
        found, searched = store.search(query, None if where is None else parse_filter(where, COLUMNS), 7)
        assert searched == len(rows), where
        assert [entry for entry, _ in found] == [ENTRIES[row].entry for row in rows[:7]], where
        assert [score for _, score in found] == pytest.approx([scores[row] for row in rows[:7]], abs=1e-5)


def test_what_is_added_again_replaces(store: GalleryStore) -> None:
    entry = Entry(ENTRIES[5].entry.path, 'somebody else')
    vector = make_vectors(1, seed=9)
    store.search(Query(vector[0], None), None, 1)  # with the old vectors in memory
    store.add([StoredEntry(entry, FileState(1, 2, 'x'))], vector)
    assert store.count() == COUNT
    found, _ = store.search(Query(vector[0], None), None, 1)
    assert found[0][0] == entry
    assert found[0][1] == pytest.approx(1, abs=1e-5)


def test_what_is_known_changes_and_vectors_stay(store: GalleryStore) -> None:
    old = ENTRIES[8]
    changed = StoredEntry(Entry(old.entry.path, 'new', columns={'floor': 1.5}), FileState(7, 8, 'y'))
    unknown = StoredEntry(Entry('not there'), FileState(7, 8, 'y'))
    store.update([changed, unknown])
    assert store.count() == COUNT
    assert store.find([old.entry.path]) == {old.entry.path: changed}
    found, _ = store.search(Query(make_vectors()[8], None), None, 1)
    assert found[0][0] == changed.entry


def test_removal_by_condition_path_and_both(store: GalleryStore) -> None:
    query = Query(make_vectors()[4], None)
    store.search(query, None, 1)
    assert store.remove(parse_filter('camera == 4', COLUMNS), None) == sum(e.entry.camera == 4 for e in ENTRIES)
    paths = [ENTRIES[n].entry.path for n in (0, 1, 4)]  # the last of which is gone already
    assert store.remove(None, [*paths, 'not there']) == 2
    assert store.remove(parse_filter('camera == 1', COLUMNS), [ENTRIES[n].entry.path for n in (2, 11)]) == 1
    left = [each for n, each in enumerate(ENTRIES) if each.entry.camera != 4 and n not in (0, 1, 11)]
    assert sorted(store.iterate(), key=lambda each: each.file.size) == left
    found, searched = store.search(query, None, COUNT)
    assert searched == len(found) == len(left)
    assert store.verify() == []
    assert store.remove(parse_filter('camera == 4', COLUMNS), None) == 0


def test_two_versions_beside_one_another(store: GalleryStore, manifest: Manifest, tmp_path: Path) -> None:
    newer = replace(manifest, version=2)
    other = open_store(tmp_path, newer, create=True)
    assert (other.count(), store.count()) == (0, COUNT)
    other.close()
    drop_others(tmp_path, manifest)
    with pytest.raises(FileNotFoundError):
        open_store(tmp_path, newer)
    store.drop()
    with pytest.raises(FileNotFoundError):
        open_store(tmp_path, manifest)


def test_settings_of_engines() -> None:
    with pytest.raises(ValueError, match="no engine 'faiss'; expected one of embedded, milvus"):
        complete_options('faiss', {})
    with pytest.raises(ValueError, match="no setting 'uri'; it has memory"):
        complete_options('embedded', {'uri': 'x'})
    with pytest.raises(ValueError, match='memory of the engine embedded is like'):
        complete_options('embedded', {'memory': 'much'})
    with pytest.raises(ValueError, match='a number of bytes from 0, got -1'):
        complete_options('embedded', {'memory': -1})
    with pytest.raises(ValueError, match='a number of lists up to 1,024; got 2000'):
        complete_options('milvus', {'approximate': 2000})
    names = {complete_options('milvus', {})['collection'] for _ in range(2)}
    assert len(names) == 2
