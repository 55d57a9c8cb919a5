"""A gallery: images of people, encoded once, and searched by picture and by sentence."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from cmdg_plugin.datasets.caption_fields import is_writable
from cmdg_plugin.files.images import read_image
from cmdg_plugin.gallery.adding import AddPass
from cmdg_plugin.gallery.calibration import Threshold, calibrate_store, judge
from cmdg_plugin.gallery.columns import KNOWN_COLUMNS, merge_kinds
from cmdg_plugin.gallery.encoding import GalleryModel, QueryImage, list_pictures, load_model
from cmdg_plugin.gallery.engines import complete_options, drop_others, open_store
from cmdg_plugin.gallery.entries import Entry, Source, iterate_entries, survey
from cmdg_plugin.gallery.filters import Filter, parse_filter
from cmdg_plugin.gallery.manifest import (
    NAME,
    Manifest,
    changing,
    check_empty,
    manifest_state,
    read_manifest,
)
from cmdg_plugin.gallery.reading import has_changed
from cmdg_plugin.gallery.results import AddReport, GalleryInfo, Match, SearchResult
from cmdg_plugin.gallery.scoring import Query
from cmdg_plugin.gallery.store import GalleryStore
from cmdg_plugin.progress import track


class Gallery(AbstractContextManager['Gallery']):
    """Images of people with their vectors in a folder; made by `create`, opened by `open`.

    Attributes:
        folder: The folder.

    Example:
        >>> gallery = Gallery.create('station', model='model.pth')
        >>> gallery.add('crops').added
        3
        >>> result = gallery.search(text='a woman in a red coat', where='camera == 1', top=5)
        >>> result.matches[0].rank
        1
    """

    def __init__(self, folder: Path, model: GalleryModel | str | None, device: Any) -> None:
        self.folder = folder
        self._model = model
        self._device = device
        self._written, self._manifest, self._store = _open_current(folder)

    @classmethod
    def create(
        cls,
        folder: str | os.PathLike[str],
        model: str | os.PathLike[str],
        engine: str = 'embedded',
        device: str | torch.device | None = None,
        **options: Any,
    ) -> 'Gallery':
        """Make an empty gallery.

        Args:
            folder: Where; it must not exist, or be empty.
            model: Checkpoint of the model that encodes images and sentences. Its path is stored.
            engine: Where entries are stored: `embedded`, in the folder; `milvus`, in a server.
            device: Where to compute; None takes a GPU if there is one.
            **options: Settings of the engine, see `complete_options`.

        Raises:
            FileExistsError: If the folder holds something.
            FileNotFoundError: If there is no such checkpoint.
            ValueError: If it is not a checkpoint, or there is no such engine.
        """
        place = Path(os.path.expanduser(folder)).absolute()
        settings = complete_options(engine, options)
        check_empty(place)
        loaded = GalleryModel(model, device)
        place.mkdir(parents=True, exist_ok=True)
        with changing(place):
            check_empty(place)
            manifest = Manifest(engine, 1, loaded.checkpoint, loaded.hash, loaded.dimension, loaded.shared, settings)
            open_store(place, manifest, create=True).close()
            manifest.write(place)
        return cls(place, loaded, device)

    @classmethod
    def open(
        cls,
        folder: str | os.PathLike[str],
        model: str | os.PathLike[str] | None = None,
        device: str | torch.device | None = None,
    ) -> 'Gallery':
        """Open a gallery; its model is loaded when it is first needed.

        Args:
            folder: The gallery.
            model: The checkpoint, where it is no longer where it was; `add` and `calibrate` keep the new place. Another
                model is refused.
            device: Where to compute; None takes a GPU if there is one.

        Raises:
            FileNotFoundError: If there is no gallery.
            ValueError: If it is damaged, or was written by a newer version.
        """
        place = Path(os.path.expanduser(folder)).absolute()
        return cls(place, None if model is None else os.fspath(model), device)

    # ------------------------------------------------------------------ entries

    def add(
        self,
        entries: Source | Iterable[Source],
        *,
        root: str | os.PathLike[str] | None = None,
        batch_size: int = 64,
        num_workers: int = 0,
        progress: bool = True,
    ) -> AddReport:
        """Add images; those that are there and have not changed are left as they are.

        Args:
            entries: A folder, an index or caption file, an image, or several of these.
            root: Where the paths of an index start; by default the folder that it lies in.
            batch_size: Images encoded at a time.
            num_workers: Processes that read images beside this one.
            progress: Whether to show a progress bar.

        Raises:
            InUse: If another process is changing the gallery.
            FileNotFoundError: If there is no such folder or index.
            ValueError: If a row of an index is not as described.
            OSError: If the disk is full; what was added before stays.
        """
        sources = _as_sources(entries)
        with self._changing():
            model = self._loaded_to_change()
            count, kinds = survey(sources, root)
            merged = merge_kinds(self._store.columns(), kinds)
            if merged != self._store.columns():
                self._store.declare(merged)
            work = AddPass(self._store, model, batch_size=batch_size, num_workers=num_workers)
            return work.run(iterate_entries(sources, root), 'Adding images', count if progress else None)

    def remove(self, where: str | None = None, paths: Iterable[str | os.PathLike[str]] | None = None) -> int:
        """Remove entries; they are gone from the disk when this returns.

        Args:
            where: A condition on their columns, see `search`.
            paths: Their paths. With a condition, only those among them that fulfill it are removed.

        Returns:
            How many were removed.

        Raises:
            InUse: If another process is changing the gallery.
            ValueError: If neither is given, or the condition cannot be used.
        """
        if where is None and paths is None:
            raise ValueError('Say which entries to remove, by a condition (where) or by their paths.')
        if isinstance(paths, str | os.PathLike):
            paths = [paths]
        listed = None if paths is None else [os.path.abspath(os.path.expanduser(path)) for path in paths]
        with self._changing():
            return self._store.remove(
                self._filter(where), None if listed is None else list(filter(is_writable, listed))
            )

    def reencode(
        self,
        model: str | os.PathLike[str],
        *,
        drop_unreadable: bool = False,
        batch_size: int = 64,
        num_workers: int = 0,
        progress: bool = True,
    ) -> AddReport:
        """Encode all images anew with another model; the old vectors answer until the new ones are complete.

        What was calibrated is forgotten: thresholds belong to a model.

        Args:
            model: Checkpoint of the new model.
            drop_unreadable: Whether to go on without the images that cannot be read any more.
            batch_size: Images encoded at a time.
            num_workers: Processes that read images beside this one.
            progress: Whether to show a progress bar.

        Raises:
            InUse: If another process is changing the gallery.
            ValueError: If images cannot be read any more, and `drop_unreadable` is not set; nothing has changed then.
        """
        with self._changing():
            loaded = GalleryModel(model, self._device)
            new = replace(
                self._manifest,
                version=self._manifest.version + 1,
                model=loaded.checkpoint,
                hash=loaded.hash,
                dimension=loaded.dimension,
                shared=loaded.shared,
                thresholds={},
            )
            store = open_store(self.folder, new, create=True)
            try:
                store.declare(self._store.columns())
                work = AddPass(store, loaded, batch_size=batch_size, num_workers=num_workers)
                entries = (stored.entry for stored in self._store.iterate())
                report = work.run(entries, 'Encoding images anew', self._store.count() if progress else None)
                lost = report.unreadable
                if lost and not drop_unreadable:
                    raise ValueError(
                        f'{len(lost):,} images of the gallery cannot be read any more, the first: {lost[0][1]} The '
                        'gallery is as it was. Put them back, or let them go (drop_unreadable, --drop-unreadable).'
                    )
            except BaseException:
                store.drop()  # half of a set would take room on a full disk
                raise
            store.close()
            new.write(self.folder)
            self._refresh()
            drop_others(self.folder, new)
            self._model = loaded
        return report

    def calibrate(
        self,
        entries: Source | Iterable[Source],
        *,
        root: str | os.PathLike[str] | None = None,
        false_positive_rate: float = 0.01,
        unsure_rate: float = 0.1,
        strangers: bool = False,
        progress: bool = True,
    ) -> dict[str, Threshold]:
        """Learn from labelled images when nobody matches; results have a verdict from then on.

        Args:
            entries: A folder, index or caption file of images whose identities are known, or several of these; best of
                people who are not in the gallery.
            root: Where the paths of an index start; by default the folder that it lies in.
            false_positive_rate: Fraction of queries for absent people that may be called a match.
            unsure_rate: Fraction of them that may be called at least unsure.
            strangers: Whether none of these people is in the gallery. Otherwise, equal identities are equal people.
            progress: Whether to show a progress bar.

        Returns:
            What was learned, by kind of query: `image`, and `text` where images have captions.

        Raises:
            InUse: If another process is changing the gallery.
            ValueError: If there are too few labelled images, or the rates are not between 0 and 1.
        """
        sources = _as_sources(entries)
        with self._changing():
            model = self._loaded_to_change()
            probes: Iterable[Entry] = iterate_entries(sources, root)
            if progress:
                probes = track(probes, 'Calibrating', survey(sources, root)[0], 'image')
            learned = calibrate_store(self._store, model, probes, false_positive_rate, unsure_rate, strangers)
            thresholds: dict[str, Any] = {kind: threshold.to_dict() for kind, threshold in learned.items()}
            replace(self._manifest, thresholds=thresholds).write(self.folder)
            self._refresh()
        return learned

    # ------------------------------------------------------------------ searching

    def search(
        self,
        image: QueryImage | Sequence[QueryImage] | None = None,
        text: str | None = None,
        where: str | None = None,
        top: int = 20,
        text_weight: float = 0.5,
    ) -> SearchResult:
        """Find the entries most similar to pictures of a person, to a sentence, or to both.

        Args:
            image: A file, a PIL image, an RGB array (H, W, 3) of bytes, or several of these, which show one person.
            text: A sentence, such as "a woman in a red coat with a backpack".
            where: A condition on columns, such as `camera == 3 and time >= "2026-05-01T08:00"`.
            top: How many to find.
            text_weight: With image and sentence, the weight of the sentence, from 0 to 1.

        Raises:
            FileNotFoundError: If there is no such image, or the model is no longer where it was.
            ValueError: If there is no query, an image cannot be read, the sentence is empty, the condition cannot be
                used, or the model is not the one that encoded the gallery.
        """
        if image is None and text is None:
            raise ValueError('Say what to search for: an image, a sentence, or both.')
        if not isinstance(top, int) or top < 1:
            raise ValueError(f'top must be a whole number, at least 1; got {top}.')
        if not isinstance(text_weight, int | float) or not 0 <= text_weight <= 1:
            raise ValueError(f'text_weight must be from 0 to 1, got {text_weight}.')
        self._refresh()
        condition = self._filter(where)
        model = self._loaded()
        images = None if image is None else model.encode_queries(list_pictures(image))
        sentence = None if text is None else model.encode_sentence(text)
        query = Query(images, sentence, text_weight)
        found, searched = self._store.search(query, condition, top)
        matches = tuple(Match.of(entry, score, rank) for rank, (entry, score) in enumerate(found, start=1))
        threshold = self._manifest.thresholds.get(query.kind)
        verdict = None if threshold is None else judge(matches[0].score if matches else None, threshold)
        return SearchResult(matches, verdict, searched, exact=not self._manifest.options.get('approximate'))

    @property
    def columns(self) -> dict[str, type]:
        """Columns that filters may name, and their types."""
        return {**KNOWN_COLUMNS, **self._store.columns()}

    def read_image(self, path: str) -> Image.Image:
        """Read the image of an entry.

        Args:
            path: Its path, as the gallery stores it.

        Raises:
            ValueError: If it is not in the gallery, or cannot be read.
        """
        if not isinstance(path, str) or not is_writable(path) or path not in self._store.find([path]):
            raise ValueError(f'The image {path} is not in this gallery.')
        return read_image(path)

    def __call__(self, inputs: QueryImage | Sequence[QueryImage], topk: int = 3) -> list[list[dict[str, Any]]]:
        """Search by pictures, each a query of its own, in the call shape of mmpretrain's `ImageRetrievalInferencer`.

        Args:
            inputs: A picture, or several.
            topk: How many entries to find for each.

        Returns:
            A list for each picture, of dicts with `match_score` and `sample`: a dict with `img_path` and what else is
            known of the entry.
        """
        answers = (self.search(picture, top=topk) for picture in list_pictures(inputs))
        return [[_as_sample(match) for match in answer.matches] for answer in answers]

    # ------------------------------------------------------------------ the gallery itself

    def info(self) -> GalleryInfo:
        """Say what the gallery is."""
        self._refresh()
        manifest = self._manifest
        return GalleryInfo(
            entries=self._store.count(),
            model=manifest.model,
            hash=manifest.hash,
            engine=manifest.engine,
            size=self._store.size() + (self.folder / NAME).stat().st_size,
            dimension=manifest.dimension,
            calibrated=tuple(manifest.thresholds),
            thresholds=manifest.thresholds,
        )

    def recall(self) -> float | None:
        """Share of the nearest entries that searches by image find, measured on a sample; None where they are exact."""
        self._refresh()
        return self._store.recall()

    def verify(self, *, files: bool = False) -> list[str]:
        """Check what is stored.

        Args:
            files: Whether to look at the images, too: which are gone, and which have changed since they were encoded.

        Returns:
            What is wrong, a line for each fault.
        """
        self._refresh()
        faults = self._store.verify()
        for stored in self._store.iterate() if files else ():
            path = stored.entry.path
            if not os.path.exists(path):
                faults.append(f'{path}: the image is gone')
            elif has_changed(path, stored.file):
                faults.append(f'{path}: the image may have changed; add it again')
        return faults

    def close(self) -> None:
        """Let go of files and connections."""
        self._store.close()

    def __exit__(self, *raised: object) -> None:
        """Let go of files and connections."""
        self.close()

    @contextmanager
    def _changing(self) -> Iterator[None]:
        with changing(self.folder):
            self._refresh()
            drop_others(self.folder, self._manifest)
            yield

    def _refresh(self) -> None:
        """Follow what another process has done: a new model, new thresholds."""
        if manifest_state(self.folder) == self._written:
            return
        old, outdated = self._manifest, self._store
        self._written, self._manifest, self._store = _open_current(self.folder)
        if (old.version, old.options) == (self._manifest.version, self._manifest.options):
            # The one that is open has vectors in memory.
            outdated, self._store = self._store, outdated
        outdated.close()
        if old.hash != self._manifest.hash:
            self._model = None

    def _filter(self, where: str | None) -> Filter | None:
        return None if where is None else parse_filter(where, self.columns)

    def _loaded(self) -> GalleryModel:
        """The model, loaded and checked."""
        if not isinstance(self._model, GalleryModel):
            self._model = load_model(self.folder, self._manifest, self._model, self._device)
        return self._model

    def _loaded_to_change(self) -> GalleryModel:
        """The model; where it lies now is kept."""
        model = self._loaded()
        if model.checkpoint != self._manifest.model:
            replace(self._manifest, model=model.checkpoint).write(self.folder)
            self._refresh()
        return model


def _open_current(folder: Path) -> tuple[Any, Manifest, GalleryStore]:
    """Open the entries that the manifest names; returns what tells whether it has changed since, it, and them."""
    while True:
        state = manifest_state(folder)
        manifest = read_manifest(folder)
        try:
            return state, manifest, open_store(folder, manifest)
        except FileNotFoundError:
            # Another process may just have encoded all images anew, and thrown these entries away.
            if manifest_state(folder) == state:
                raise


def _as_sources(entries: Source | Iterable[Source]) -> list[Source]:
    return [entries] if isinstance(entries, str | os.PathLike) else list(entries)


def _as_sample(match: Match) -> dict[str, Any]:
    known = {**match.columns, 'identity': match.identity, 'camera': match.camera, 'time': match.time}
    return {'match_score': match.score, 'sample': {**known, 'caption': match.caption, 'img_path': match.path}}
