"""A public dataset indexed by torchreid's reader, with captions joined by relative path."""

import logging
from collections.abc import Hashable, Sequence
from pathlib import Path

from mmengine.logging import print_log

from cmdg_plugin.datasets.caption_fields import SPLITS, CaptionRecord, read_facts
from cmdg_plugin.datasets.captions import load_captions
from cmdg_plugin.datasets.sources.benchmark import Benchmark, Layout
from cmdg_plugin.datasets.sources.caption_join import join_captions
from cmdg_plugin.datasets.sources.image_files import MissingImages, find_missing
from cmdg_plugin.datasets.sources.index import SourceIndex, SourceRecord, SourceSplit, make_scope
from cmdg_plugin.datasets.sources.single_shot import NUM_SPLITS, arrange_single_shot
from cmdg_plugin.datasets.sources.torchreid_readers import Listing, read_with_torchreid


def index_with_torchreid(
    benchmark: Benchmark, root: Path, layout: Layout, caption_file: str | Path | None, on_missing_image: str
) -> SourceIndex:
    """Run torchreid's reader and join the captions.

    People and cameras come from file names where these tell, so that they do not depend on the order in which a file
    system lists a folder. Splits are the dataset's own; for VIPeR, PRID and iLIDS, which have none, ten are drawn that
    are the same on every machine. A caption file that holds splits gives the released one.

    Args:
        benchmark: The dataset.
        root: Where its images lie.
        layout: Which layout they have there.
        caption_file: The JSON file of captions; None leaves the images without.
        on_missing_image: What to do with images that the reader lists and that do not exist: `'error'` or `'skip'`.

    Raises:
        FileNotFoundError: If one of the images is not there.
        ImportError: If torchreid is not installed.
        ValueError: If the reader cannot read this layout or rejects the data.
    """
    if not layout.links:
        raise ValueError(
            f'torchreid cannot read {benchmark.name} in the {layout.kind} layout at {root}; index it from its caption '
            f'file with CaptionFileSource'
        )
    shipped = benchmark.ten_splits == 'shipped'
    listings = read_with_torchreid(benchmark.name, root, layout, num_splits=NUM_SPLITS if shipped else 1)
    _check_images(benchmark.name, root, listings, on_missing_image)
    by_key = {} if caption_file is None else _join_captions(benchmark, listings, caption_file)
    splits = tuple(
        SourceSplit(**{role: _records(benchmark, items, role, by_key) for role, items in listing.items()})
        for listing in listings
    )
    if benchmark.single_shot and not shipped:
        images = {record.path: record for role in SPLITS for record in getattr(splits[0], role)}
        captions = [] if caption_file is None else load_captions(caption_file)
        index = arrange_single_shot(benchmark, str(root), images.values(), captions)
    else:
        index = SourceIndex(benchmark.name, str(root), splits, released=-1, has_cameras=benchmark.cameras != 1)
    if caption_file is not None:
        _log_coverage(index)
    return index


def _join_captions(
    benchmark: Benchmark, listings: Sequence[dict[str, Listing]], caption_file: str | Path
) -> dict[Hashable, CaptionRecord]:
    paths = {path for listing in listings for items in listing.values() for path, _, _ in items}
    images = {benchmark.join_key(f'/{path}') for path in paths}
    return join_captions(caption_file, lambda path: benchmark.join_key(f'/{path}'), images)


def _records(
    benchmark: Benchmark, items: Listing, role: str, captions: dict[Hashable, CaptionRecord]
) -> tuple[SourceRecord, ...]:
    records = []
    for path, label, camera in items:
        match = benchmark.person.search(f'/{path}') if benchmark.person else None
        identity = int(match.group(1)) if match else label
        if identity < 0:
            continue
        _, named, _ = read_facts({}, path)
        caption = captions.get(benchmark.join_key(f'/{path}'))
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


def _check_images(name: str, root: Path, listings: list[dict[str, Listing]], on_missing_image: str) -> None:
    paths = dict.fromkeys(path for listing in listings for items in listing.values() for path, _, _ in items)
    missing = find_missing(root, paths)
    if not missing:
        return
    found = f'{name}: {len(missing):,} of {len(paths):,} images that it consists of do not exist'
    if on_missing_image == 'error' or len(missing) == len(paths):
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


def _log_coverage(index: SourceIndex) -> None:
    images = {record.path: record for split in index.splits for role in SPLITS for record in getattr(split, role)}
    covered = sum(record.captions is not None for record in images.values())
    print_log(f'{index.name}: {covered:,} of {len(images):,} images have captions', logger='current')
