"""Training images of several ReID sources with identities, cameras, domains and captions."""

import copy
import hashlib
import pickle
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

import numpy as np
import torch
from mmengine.dataset import BaseDataset, Compose, force_full_init

from cmdg_plugin.datasets.altered_captions import repeat_global, swap_captions
from cmdg_plugin.datasets.image_cache import ImageCache, ImageCacheSettings
from cmdg_plugin.datasets.index_cache import IndexCache, KeptIndex
from cmdg_plugin.datasets.packed_rows import pack_row, unpack_row
from cmdg_plugin.datasets.paused_collector import collector_paused
from cmdg_plugin.datasets.source_building import load_sources
from cmdg_plugin.datasets.sources.image_files import locate
from cmdg_plugin.datasets.sources.index import ReIDSource, SourceIndex, SourceRecord, check_subsets
from cmdg_plugin.datasets.transforms import read_our_way
from cmdg_plugin.files.images import UnreadableImage
from cmdg_plugin.regions import to_region_order
from cmdg_plugin.registry import DATASETS
from cmdg_plugin.saying import warn

_EMPTY_CAPTIONS = ('', '', '', '')


@DATASETS.register_module()
class CaptionedReIDDataset(BaseDataset):
    """Images of one or several sources whose people never overlap ("identity islands").

    Identities, cameras and domains are numbered from 0 over all sources: domains in the order of the sources, the other
    two sorted within each domain, so that the numbers are the same on every machine. A sample, before the pipeline, is
    `dict(img_path, gt_label, camera, domain, image_index, captions)`: `gt_label` is the identity, `image_index` the
    image's position in the dataset and its row in the memory bank, `captions` four sentences in region order (upper,
    middle, lower, global).

    Args:
        sources: Configs of registered sources.
        pipeline: Transforms, as in MMEngine.
        subsets: Roles of the images to train on, out of `train`, `val`, `query`, `gallery`, or `all` for the four.
        split: Which split of sources that have several: `'released'` or a position.
        on_missing: What an image without captions means: `'error'`, `'skip'` (leave it out) or `'empty'` (four empty
            sentences, which caption losses leave out). The counts are logged.
        on_corrupt: What an image that cannot be read means: `'error'`, or `'skip'` (take another image of the same
            identity and log it once).
        image_cache: File that keeps the images decoded, made on first use, so that they are read from memory; or a dict
            of `ImageCacheSettings`. The pixels that come out are the same.
        index_cache: File that keeps the index, written on first use; the next start takes it if nothing that it was
            made of has changed. See `IndexCache`.
        swapped_captions: Share of the images that get the captions of somebody else, in [0, 1], drawn from seed 0: for
            studies of what captions are worth.
        one_caption: Whether the sentence about the whole person also stands for its thirds, for the same.
        lazy_init: Index the sources only when first asked.

    Attributes:
        identities: Identity of every image, (N,).
        cameras: Camera of every image, counted over all domains, (N,).
        domains: Domain of every image, (N,).
        source_numbers: Identity and camera (None if unknown) of every image as its source numbers them.

    Raises:
        ValueError: If a setting is unknown, captions are missing or a file belongs to two sources.
    """

    def __init__(
        self,
        sources: Sequence[Mapping[str, Any] | ReIDSource],
        pipeline: Sequence[dict | Callable] = (),
        *,
        subsets: str | Iterable[str] = ('train',),
        split: str | int = 'released',
        on_missing: str = 'error',
        on_corrupt: str = 'error',
        image_cache: str | Mapping[str, Any] | None = None,
        index_cache: str | None = None,
        swapped_captions: float = 0.0,
        one_caption: bool = False,
        lazy_init: bool = False,
    ) -> None:
        _check_choice('on_missing', on_missing, ('error', 'skip', 'empty'))
        _check_choice('on_corrupt', on_corrupt, ('error', 'skip'))
        if not 0 <= swapped_captions <= 1:
            raise ValueError(f'swapped_captions is a share of the images, in [0, 1], got {swapped_captions}.')
        if split == 'all':
            raise ValueError("split='all' is for evaluation: the splits train and test on different identities.")
        self.sources = sources
        self.subsets = check_subsets(subsets)
        self.split = split
        self.on_missing = on_missing
        self.on_corrupt = on_corrupt
        settings = {'file': image_cache} if isinstance(image_cache, str) else image_cache
        self.image_cache = ImageCacheSettings(**settings) if settings else None
        self._cache: ImageCache | None = None
        self.index_cache = index_cache or None
        if index_cache and type(self) is not CaptionedReIDDataset:
            self.index_cache = None
            warn(f'index_cache is left aside: {type(self).__name__} may read what nobody knows of.')
        self.swapped_captions = swapped_captions
        self.one_caption = one_caption
        self.pipeline: Compose
        self._fully_initialized: bool
        self.identities: np.ndarray
        self.cameras: np.ndarray
        self.domains: np.ndarray
        self.source_numbers: list[tuple[int, int | None]]
        super().__init__(pipeline=read_our_way(pipeline), lazy_init=lazy_init)

    @property
    def num_identities(self) -> int:
        """Number of identities over all sources."""
        self.full_init()
        return int(self.identities.max()) + 1

    @property
    def num_cameras(self) -> int:
        """Number of cameras over all sources."""
        self.full_init()
        return int(self.cameras.max()) + 1

    @property
    def num_domains(self) -> int:
        """Number of sources."""
        self.full_init()
        return int(self.domains.max()) + 1

    @property
    def captions(self) -> list[tuple[str, ...]]:
        """Four sentences of every image, in region order."""
        return [self.get_data_info(index)['captions'] for index in range(len(self))]

    @property
    def num_corrupt(self) -> int:
        """Number of images that could not be read so far, also those met by dataloader workers."""
        self.full_init()
        return int(self._corrupt.sum())

    def with_pipeline(self, pipeline: Sequence[dict | Callable]) -> 'CaptionedReIDDataset':
        """Return the same images under other transforms; shares the index and the count of corrupt images."""
        self.full_init()
        other = copy.copy(self)
        other.pipeline = Compose(read_our_way(pipeline))
        if self._cache is not None:
            other.pipeline = self._cache.serve(other.pipeline)
        return other

    @collector_paused()
    def full_init(self) -> None:
        """Index all sources, or take the index from its file, unless that is done.

        Raises:
            OSError: If `image_cache` cannot be written.
            ValueError: See `load_data_list`; or if `index_cache` or `image_cache` cannot be used (see `IndexCache` and
                `ImageCache`).
        """
        if self._fully_initialized:
            return
        self._take_or_make_index()
        # Workers are processes: only shared memory lets the main one count what they met.
        self._corrupt = torch.zeros(len(self.identities), dtype=torch.bool).share_memory_()
        # Whoever looks at the index alone has no transforms.
        if self.image_cache is not None and self.pipeline.transforms:
            paths = [self.get_data_info(position)['img_path'] for position in range(len(self))]
            # Until the images are there, too.
            self._fully_initialized = False
            self._cache = ImageCache(self.image_cache, self.pipeline, paths)
            self.pipeline = self._cache.serve(self.pipeline)
        self._fully_initialized = True

    def _take_or_make_index(self) -> None:
        cache = None
        if self.index_cache is not None:
            names = ('sources', 'subsets', 'split', 'on_missing', 'swapped_captions', 'one_caption')
            cache = IndexCache(self.index_cache, {name: getattr(self, name) for name in names})
            if kept := cache.take():
                self._restore(kept)
                return
        with nullcontext() if cache is None else cache.watch():
            super().full_init()
        if cache is not None:
            cache.keep(self._as_kept())

    def _as_kept(self) -> KeptIndex:
        arrays = {name: getattr(self, name) for name in ('identities', 'cameras', 'domains')}
        facts = {'source_numbers': self.source_numbers, 'metainfo': self._metainfo}
        return KeptIndex({**arrays, 'rows': self.data_bytes, 'ends': self.data_address}, facts)

    def _restore(self, kept: KeptIndex) -> None:
        for name in ('identities', 'cameras', 'domains'):
            setattr(self, name, kept.arrays[name])
        self.data_bytes, self.data_address = kept.arrays['rows'], kept.arrays['ends']
        self.source_numbers = [tuple(pair) for pair in kept.facts['source_numbers']]
        self._metainfo.update(kept.facts['metainfo'])
        self._fully_initialized = True

    def load_data_list(self) -> list[dict]:
        """Index all sources.

        Raises:
            ValueError: If captions are missing, nothing is left, or a file belongs to two sources.
        """
        indices = load_sources(self.sources)
        chosen = [(domain, record) for domain, index in enumerate(indices) for record in self._select(index)]
        if not chosen:
            raise ValueError(f'no image left to train on; subsets are {list(self.subsets)}.')
        identities = [(domain, record.scope, record.identity) for domain, record in chosen]
        cameras = [(domain, -1 if record.camera is None else record.camera) for domain, record in chosen]
        self.identities = _number(identities)
        self.cameras = _number(cameras)
        self.domains = np.array([domain for domain, _ in chosen], dtype=np.int64)
        self.source_numbers = [(record.identity, record.camera) for _, record in chosen]
        captions = self._alter([to_region_order(record.captions or _EMPTY_CAPTIONS) for _, record in chosen])
        paths = [indices[domain].absolute(record) for domain, record in chosen]
        _check_unique(paths, self.domains, [index.name for index in indices])
        self._metainfo.update(
            sources=[index.name for index in indices],
            num_images=len(chosen),
            fingerprints=_fingerprints(indices, chosen, self.identities),
        )
        return [
            {
                'img_path': path,
                'gt_label': int(identity),
                'camera': int(camera),
                'domain': domain,
                'image_index': position,
                'captions': sentences,
            }
            for position, (path, identity, camera, (domain, _), sentences) in enumerate(
                zip(paths, self.identities, self.cameras, chosen, captions, strict=True)
            )
        ]

    def prepare_data(self, idx: int) -> Any:
        """Run the pipeline on one image, or on another of the same identity where `on_corrupt` asks for it.

        Raises:
            ValueError: If the image cannot be read and may not be replaced, or none of its identity's can.
        """
        for candidate in self._same_identity(idx):
            if self._corrupt[candidate]:
                continue
            info = self.get_data_info(candidate)
            try:
                return self.pipeline(info)
            except UnreadableImage as error:
                self._note_corrupt(candidate, error)
        raise ValueError(
            f'none of the images of identity {self.identities[idx]} can be read, one is '
            f'{self.get_data_info(idx)["img_path"]}; restore them or take the identity out of the data.'
        )

    @force_full_init
    def get_data_info(self, idx: int) -> dict:
        """Return what the pipeline begins with: what the class says, and the position once more as `sample_idx`."""
        if self.index_cache is None:
            return super().get_data_info(idx)
        start = 0 if idx == 0 else self.data_address[idx - 1]
        row = unpack_row(self.data_bytes[start : self.data_address[idx]].tobytes())
        return {**row, 'sample_idx': idx if idx >= 0 else len(self) + idx}

    def _serialize_data(self) -> tuple[np.ndarray, np.ndarray]:
        # The base class makes an array of every row, and has the collector search all that was indexed.
        # Rows of a dataset derived from this one may hold anything; what comes from a file is never unpickled.
        write = partial(pickle.dumps, protocol=4) if self.index_cache is None else pack_row
        rows = [write(row) for row in self.data_list]
        self.data_list.clear()
        return np.frombuffer(b''.join(rows), np.uint8), np.cumsum([len(row) for row in rows], dtype=np.int64)

    def _select(self, index: SourceIndex) -> list[SourceRecord]:
        records = index.select(self.subsets, self.split)
        if not records:
            raise ValueError(f'{index.name}: no image in {", ".join(self.subsets)}.')
        bare = [record for record in records if record.captions is None]
        if not bare:
            return records
        found = f'{index.name}: {len(bare):,} of {len(records):,} images have no captions'
        if self.on_missing == 'error':
            raise ValueError(
                f'{found}, the first is {index.absolute(bare[0])}. Caption them, leave them out with '
                f"on_missing='skip', or out of the caption losses alone with on_missing='empty'."
            )
        skip = self.on_missing == 'skip'
        warn(f'{found}; {"left out" if skip else "empty captions"}')
        if skip and len(bare) == len(records):
            raise ValueError(f'{found}: nothing of it is left. Give it captions, or take it out of the sources.')
        return [record for record in records if record.captions is not None] if skip else records

    def _alter(self, captions: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
        if self.one_caption:
            captions = [repeat_global(sentences) for sentences in captions]
        if self.swapped_captions:
            captions = swap_captions(captions, self.identities, self.swapped_captions)
            warn(f'{self.swapped_captions:.0%} of the images have the captions of somebody else (swapped_captions).')
        return captions

    def _same_identity(self, idx: int) -> Iterable[int]:
        yield idx
        others = np.flatnonzero(self.identities == self.identities[idx])
        start = int(np.searchsorted(others, idx))
        # The next image of the identity, then the one after: the same choice in every run.
        yield from (int(other) for other in np.roll(others, -start)[1:])

    def _note_corrupt(self, position: int, error: UnreadableImage) -> None:
        if self.on_corrupt == 'error':
            raise UnreadableImage(
                f'{error} Restore it, or let another image of the same identity take its place with '
                "on_corrupt='skip'; tools/check_data.py --config CONFIG lists all such images."
            ) from error
        self._corrupt[position] = True
        warn(f'{error} Another image of the same identity takes its place ({self.num_corrupt:,} unreadable so far).')


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f'expected {name} to be one of {", ".join(choices)}, got {value!r}.')


def _number(keys: Sequence[tuple]) -> np.ndarray:
    numbers = {key: number for number, key in enumerate(sorted(set(keys)))}
    return np.array([numbers[key] for key in keys], dtype=np.int64)


def _fingerprints(
    indices: Sequence[SourceIndex], chosen: Sequence[tuple[int, SourceRecord]], identities: np.ndarray
) -> dict[str, str]:
    """Digest of each source's images in order, with the numbers of identities; the same wherever the data lie."""
    digests = [hashlib.sha256() for _ in indices]
    for (domain, record), identity in zip(chosen, identities, strict=True):
        digests[domain].update(f'{record.path}\t{identity}\n'.encode('utf-8', 'surrogateescape'))
    return {index.name: digest.hexdigest()[:16] for index, digest in zip(indices, digests, strict=True)}


def _check_unique(paths: Sequence[str], domains: np.ndarray, names: Sequence[str]) -> None:
    seen: dict[str, int] = {}
    for path, place, domain in zip(paths, locate(paths), domains, strict=True):
        first = seen.setdefault(place, int(domain))
        if first != domain:
            raise ValueError(
                f'{path} belongs to two sources, {names[first]} and {names[int(domain)]}; identities of different '
                f'sources count as different, so take it out of one of them.'
            )
