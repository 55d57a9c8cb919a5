"""One pass over images, on a real store and model; all that a gallery does around it: test_gallery.py."""

from pathlib import Path

from cmdg_plugin.gallery.adding import AddPass
from cmdg_plugin.gallery.encoding import GalleryModel
from cmdg_plugin.gallery.entries import Entry
from cmdg_plugin.gallery.sqlite_store import SQLiteStore


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
