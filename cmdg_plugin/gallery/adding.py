"""The pass that adds images to a gallery: what is new or has changed is encoded, all else is left alone."""

from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice

import torch
from torch.utils.data import DataLoader

from cmdg_plugin.datasets.caption_fields import is_writable
from cmdg_plugin.gallery.columns import convert
from cmdg_plugin.gallery.encoding import GalleryModel
from cmdg_plugin.gallery.entries import Entry
from cmdg_plugin.gallery.reading import EntryImages, ReadImage, has_changed
from cmdg_plugin.gallery.results import AddReport
from cmdg_plugin.gallery.store import FileState, GalleryStore, StoredEntry
from cmdg_plugin.progress import track
from cmdg_plugin.saying import warn

_LOOKED_UP = 1024


class AddPass:
    """One pass over entries; each batch is on disk before the next one is read, so an interrupted pass can go on.

    Args:
        store: The store, with all columns declared.
        model: The model of the store's vectors.
        batch_size: Images encoded at a time.
        num_workers: Processes that read images beside this one.
    """

    def __init__(self, store: GalleryStore, model: GalleryModel, *, batch_size: int = 64, num_workers: int = 0) -> None:
        self.store = store
        self.model = model
        self.batch_size = batch_size
        self.num_workers = num_workers
        self._kinds = store.columns()
        self._counts: Counter[str] = Counter()
        self._unreadable: list[tuple[str, str]] = []

    def run(self, entries: Iterable[Entry], what: str, count: int | None) -> AddReport:
        """Add entries.

        Args:
            entries: The entries.
            what: What a progress bar says.
            count: How many there are; None shows no progress bar.
        """
        done = self._add(entries)
        for _ in done if count is None else track(done, what, count, 'image'):
            pass
        counts = self._counts
        if counts['repeated']:
            warn(f'{counts["repeated"]:,} images are named twice; where that differs, what is said later counts.')
        return AddReport(counts['added'], counts['replaced'], counts['unchanged'], self._unreadable)

    def _add(self, entries: Iterable[Entry]) -> Iterator[str]:
        named = self._named(entries)
        while rows := list(islice(named, max(_LOOKED_UP, self.batch_size))):
            group = _merge_repeats(rows)
            self._counts['repeated'] += len(rows) - len(group)
            yield from (entry.path for entry in rows[len(group) :])
            known = self.store.find([entry.path for entry in group])
            to_read = yield from self._skip_unchanged(group, known)
            if not to_read:
                continue
            images = EntryImages(to_read, self.model.prepare)
            for batch in DataLoader(images, self.batch_size, num_workers=self.num_workers, collate_fn=list):
                self._unreadable += [(image.path, image.problem) for image in batch if image.problem]
                self._store(batch, known)
                yield from (image.path for image in batch)

    def _named(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """Leave out files whose names no database can hold."""
        for entry in entries:
            if is_writable(entry.path):
                yield entry
            else:
                path = entry.path.encode(errors='backslashreplace').decode()
                self._unreadable.append((path, f'The name of {path} is not UTF-8; rename it.'))

    def _skip_unchanged(
        self, group: list[Entry], known: Mapping[str, StoredEntry]
    ) -> Generator[str, None, list[tuple[Entry, FileState | None]]]:
        """Update the entries whose files are as they were; returns the others, with the state that they had."""
        same: list[StoredEntry] = []
        to_read: list[tuple[Entry, FileState | None]] = []
        for raw in group:
            entry, there = _typed(raw, self._kinds), known.get(raw.path)
            if there is None or has_changed(entry.path, there.file):
                to_read.append((entry, None if there is None else there.file))
            else:
                same.append(StoredEntry(_merged(entry, there.entry), there.file))
        self._update(same, known)
        yield from (stored.entry.path for stored in same)
        return to_read

    def _store(self, batch: Sequence[ReadImage], known: Mapping[str, StoredEntry]) -> None:
        same, fresh, pixels = [], [], []
        for image in batch:
            stored, there = image.stored, known.get(image.path)
            if stored is None:
                continue
            if there is not None:
                stored = StoredEntry(_merged(stored.entry, there.entry), stored.file)
            if image.pixels is None:
                same.append(stored)
            else:
                fresh.append(stored)
                pixels.append(image.pixels)
                self._counts['added' if there is None else 'replaced'] += 1
        self._update(same, known)
        if fresh:
            self.store.add(fresh, self.model.encode_prepared(torch.stack(pixels)))

    def _update(self, same: Sequence[StoredEntry], known: Mapping[str, StoredEntry]) -> None:
        """Store what is newly known of images whose content is as it was."""
        for stored in same:
            there = known[stored.entry.path]
            self._counts['unchanged' if stored.entry == there.entry else 'replaced'] += 1
        changed = [stored for stored in same if stored != known[stored.entry.path]]
        if changed:
            self.store.update(changed)


def _typed(entry: Entry, kinds: Mapping[str, type]) -> Entry:
    columns = {name: convert(value, kinds[name]) for name, value in entry.columns.items()}
    return replace(entry, columns=columns)


def _merged(entry: Entry, there: Entry) -> Entry:
    """What is known of an image from two sources; the later one wins where it says something and is not a mere name."""
    first, second = (there, entry) if entry.only_named else (entry, there)
    known = {
        name: getattr(second if getattr(first, name) is None else first, name)
        for name in ('identity', 'camera', 'time', 'caption')
    }
    only_named = entry.only_named and there.only_named
    return Entry(entry.path, **known, columns={**second.columns, **first.columns}, only_named=only_named)


def _merge_repeats(rows: Iterable[Entry]) -> list[Entry]:
    """Entries of which no path comes twice, as from a folder and an index of the same images."""
    together: dict[str, Entry] = {}
    for entry in rows:
        there = together.get(entry.path)
        together[entry.path] = entry if there is None else _merged(entry, there)
    return list(together.values())
