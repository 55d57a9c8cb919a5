"""A public dataset indexed by torchreid's reader, with captions joined by relative path."""

import logging
from collections.abc import Hashable, Sequence
from pathlib import Path

from mmengine.logging import print_log

from cmdg_plugin.datasets.caption_fields import SPLITS, CaptionRecord, read_facts
from cmdg_plugin.datasets.captions import load_captions
from cmdg_plugin.datasets.sources.benchmarks import get_benchmark
from cmdg_plugin.datasets.sources.caption_join import join_captions
from cmdg_plugin.datasets.sources.counts import compare_counts, log_counts
from cmdg_plugin.datasets.sources.image_files import MissingImages, find_missing
from cmdg_plugin.datasets.sources.index import SourceIndex, SourceRecord, SourceSplit, make_scope
from cmdg_plugin.datasets.sources.locating import require_layout
from cmdg_plugin.datasets.sources.record_indexing import check_missing_choice
from cmdg_plugin.datasets.sources.single_shot import NUM_SPLITS, arrange_single_shot
from cmdg_plugin.datasets.sources.torchreid_readers import Listing, read_with_torchreid
from cmdg_plugin.registry import SOURCES


@SOURCES.register_module()
class TorchreidSource:
    """One of the nine public datasets as torchreid's reader lists it, in torchreid's layout or the release's.

    People and cameras come from file names where these tell, so that they do not depend on the order in which a file
    system lists a folder. Splits are the dataset's own; for VIPeR, PRID and iLIDS, which have none, ten are drawn that
    are the same on every machine. A caption file that holds splits gives the released one.

    Args:
        name: Name of the dataset.
        data_root: Folder that holds all datasets.
        caption_file: The JSON file of captions; None leaves the images without.
        version: `MSMT17_V1` or `MSMT17_V2`, `labeled` or `detected`; None takes what is there.
        on_missing_image: What to do with images that the reader lists and that do not exist: `'error'` or `'skip'`.

    Raises:
        ValueError: If the dataset or the version is unknown.
    """

    def __init__(
        self,
        name: str,
        data_root: str,
        caption_file: str | None = None,
        *,
        version: str | None = None,
        on_missing_image: str = 'error',
    ) -> None:
        check_missing_choice(name, on_missing_image)
        self.name = name
        self.benchmark = get_benchmark(name)
        self.data_root = Path(data_root).expanduser()
        self.caption_file = caption_file
        self.version = version
        self.on_missing_image = on_missing_image

    def check(self) -> None:
        """Look whether the dataset is there.

        Raises:
            FileNotFoundError: If not; shows the expected folders.
        """
        require_layout(self.benchmark, self.data_root, self.version)

    def load(self) -> SourceIndex:
        """Run torchreid's reader and join the captions.

        Raises:
            FileNotFoundError: If the dataset or one of its images is not there; shows the expected folders.
            ImportError: If torchreid is not installed.
            ValueError: If the reader cannot read this layout or rejects the data.
        """
        layout = require_layout(self.benchmark, self.data_root, self.version)
        root = self.data_root / layout.folder
        if not layout.links:
            raise ValueError(
                f'torchreid cannot read {self.name} in the {layout.kind} layout at {root}; index it from its caption '
                f'file with CaptionFileSource'
            )
        num_splits = NUM_SPLITS if self.name == 'grid' else 1
        listings = read_with_torchreid(self.name, root, layout, num_splits=num_splits)
        self._check_images(root, listings)
        by_key = self._join_captions(listings)
        captions = [] if self.caption_file is None else load_captions(self.caption_file)
        splits = [
            SourceSplit(**{role: self._records(items, role, by_key) for role, items in listing.items()})
            for listing in listings
        ]
        index = self._arrange(root, splits, captions)
        remark = ', '.join(part for part in (f'{layout.kind} layout', layout.version) if part)
        log_counts(self.name, compare_counts(index, self.benchmark, layout.version), remark)
        self._log_coverage(index)
        return index

    def _join_captions(self, listings: Sequence[dict[str, Listing]]) -> dict[Hashable, CaptionRecord]:
        if self.caption_file is None:
            return {}
        paths = {path for listing in listings for items in listing.values() for path, _, _ in items}
        images = {self._join_key(path) for path in paths}
        return join_captions(self.caption_file, self._join_key, images)

    def _join_key(self, path: str) -> tuple[str, ...] | None:
        return self.benchmark.join_key(f'/{path}')

    def _records(self, items: Listing, role: str, captions: dict[Hashable, CaptionRecord]) -> tuple[SourceRecord, ...]:
        benchmark = self.benchmark
        records = []
        for path, label, camera in items:
            match = benchmark.person.search(f'/{path}') if benchmark.person else None
            identity = int(match.group(1)) if match else label
            if identity < 0:
                continue
            _, named, _ = read_facts({}, path)
            caption = captions.get(self._join_key(path))
            records.append(
                SourceRecord(
                    path=path,
                    identity=identity,
                    camera=camera if named is None else named,
                    captions=None if caption is None else caption.captions,
                    scope='' if benchmark.single_shot else make_scope(path, role),
                    distractor=identity in benchmark.distractors and role in ('query', 'gallery'),
                )
            )
        return tuple(records)

    def _arrange(self, root: Path, splits: Sequence[SourceSplit], captions: Sequence[CaptionRecord]) -> SourceIndex:
        """Choose the splits that results are averaged over and the released one."""
        has_cameras = self.benchmark.cameras != 1
        if self.name == 'grid' or not self.benchmark.single_shot:
            return SourceIndex(self.name, str(root), tuple(splits), released=-1, has_cameras=has_cameras)
        images = {record.path: record for role in SPLITS for record in getattr(splits[0], role)}
        return arrange_single_shot(self.benchmark, str(root), images.values(), captions)

    def _check_images(self, root: Path, listings: list[dict[str, Listing]]) -> None:
        paths = dict.fromkeys(path for listing in listings for items in listing.values() for path, _, _ in items)
        missing = find_missing(root, paths)
        if not missing:
            return
        found = f'{self.name}: {len(missing):,} of {len(paths):,} images that it consists of do not exist'
        if self.on_missing_image == 'error' or len(missing) == len(paths):
            raise MissingImages(
                f'{found}, the first is {root / missing[0]}. Complete the dataset, or leave them out with '
                f"on_missing_image='skip'",
                [str(root / path) for path in missing],
            )
        print_log(f'{found}; left out', logger='current', level=logging.WARNING)
        gone = set(missing)
        for listing in listings:
            for role, items in listing.items():
                listing[role] = [item for item in items if item[0] not in gone]

    def _log_coverage(self, index: SourceIndex) -> None:
        if self.caption_file is None:
            return
        images = {record.path: record for split in index.splits for role in SPLITS for record in getattr(split, role)}
        covered = sum(record.captions is not None for record in images.values())
        print_log(f'{self.name}: {covered:,} of {len(images):,} images have captions', logger='current')
