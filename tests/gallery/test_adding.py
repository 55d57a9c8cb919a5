"""One pass over images, on a real store and model; all that a gallery does around it: test_gallery.py."""

from pathlib import Path

import pytest

from cmdg_plugin.gallery.adding import AddPass
from cmdg_plugin.gallery.encoding import GalleryModel
from cmdg_plugin.gallery.entries import Entry
from cmdg_plugin.gallery.sqlite_store import SQLiteStore


def test_what_is_said_twice_of_an_image_is_merged(
    tmp_path: Path, people: Path, toy_model: GalleryModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    monkeypatch.setattr('cmdg_plugin.gallery.adding.warn', lines.append)
    path = str(next(people.rglob('*.png')))
    by_name = Entry(path, '7', 1, columns={'role': 'query'}, only_named=True)
    by_index = Entry(path, 'Anna', time='2026-05-01T08:00:00', columns={'floor': 2})
    later = Entry(path, 'Berta', columns={'floor': 3})
    for number, (entries, who, floor) in enumerate(
        (
            ((by_name, by_index), 'Anna', 2),
            ((by_index, by_name), 'Anna', 2),
            ((by_index, by_name, later), 'Berta', 3),
            ((by_name, by_name), '7', None),
        )
    ):
        store = SQLiteStore(tmp_path / f'{number}.sqlite', toy_model.dimension, toy_model.shared, create=True)
        store.declare({'role': str, 'floor': int})
        report = AddPass(store, toy_model).run(entries, 'Adding', None)
        assert (report.added, report.replaced, report.unchanged) == (1, 0, 0)
        columns = {'role': 'query'} if floor is None else {'role': 'query', 'floor': floor}
        time = None if floor is None else '2026-05-01T08:00:00'
        assert store.find([path])[path].entry == Entry(path, who, 1, time, columns=columns)
        assert (
            lines.pop() == f'{len(entries) - 1} images are named twice; where that differs, what is said later counts.'
        )
    # Two names that say the same are still only names.
    AddPass(store, toy_model).run([by_index], 'Adding', None)
    AddPass(store, toy_model).run([by_name, by_name], 'Adding', None)
    assert store.find([path])[path].entry.identity == 'Anna'


def test_each_image_is_counted_as_what_was_done(tmp_path: Path, people: Path, toy_model: GalleryModel) -> None:
    store = SQLiteStore(tmp_path / 'a.sqlite', toy_model.dimension, toy_model.shared, create=True)
    paths = sorted(map(str, people.rglob('*.png')))[:4]

    def add(*entries: Entry) -> tuple[tuple[int, int, int], list[str]]:
        report = AddPass(store, toy_model, batch_size=3).run(entries, 'Adding', None)
        return (report.added, report.replaced, report.unchanged), [path for path, _ in report.unreadable]

    entries = [Entry(path, identity='1') for path in paths]
    assert add(*entries) == ((4, 0, 0), [])
    assert add(*entries) == ((0, 0, 4), [])
    # Another identity, another image, and one that is gone.
    Path(paths[1]).write_bytes(Path(paths[2]).read_bytes())
    Path(paths[3]).unlink()
    assert add(Entry(paths[0], identity='2'), *entries[1:]) == ((0, 2, 1), [paths[3]])
    assert {path: stored.entry.identity for path, stored in store.find(paths).items()} == {
        **dict.fromkeys(paths, '1'),
        paths[0]: '2',
    }
