"""A public dataset indexed by torchreid's reader, with captions joined by relative path."""

from collections.abc import Hashable, Sequence
from pathlib import Path

from cmdg_plugin.datasets.caption_fields import CaptionRecord, read_facts
from cmdg_plugin.datasets.captions import load_captions
from cmdg_plugin.datasets.sources.benchmark import Benchmark, Layout
from cmdg_plugin.datasets.sources.caption_join import join_captions
from cmdg_plugin.datasets.sources.image_files import leave_out_missing
from cmdg_plugin.datasets.sources.index import SourceIndex, SourceRecord, make_scope, make_split
from cmdg_plugin.datasets.sources.single_shot import NUM_SPLITS, arrange_single_shot
from cmdg_plugin.datasets.sources.torchreid_readers import Listing, read_with_torchreid
from cmdg_plugin.saying import say


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
            f'file with CaptionFileSource.'
        )
    shipped = benchmark.ten_splits == 'shipped'
    listings = read_with_torchreid(benchmark.name, root, layout, num_splits=NUM_SPLITS if shipped else 1)
    gone = leave_out_missing(benchmark.name, root, _paths(listings), on_missing_image, 'that it consists of')
    listings = [
        {role: [item for item in items if item[0] not in gone] for role, items in listing.items()}
        for listing in listings
    ]
    by_key: dict[Hashable, CaptionRecord] = {}
    if caption_file is not None:
        keys = {benchmark.join_key(f'/{path}') for path in _paths(listings)}
        by_key = join_captions(caption_file, lambda path: benchmark.join_key(f'/{path}'), keys)
    splits = tuple(
        make_split({role: _records(benchmark, items, role, by_key) for role, items in listing.items()})
        for listing in listings
    )
    index = SourceIndex(benchmark.name, str(root), splits, released=-1, has_cameras=benchmark.cameras != 1)
    if benchmark.single_shot and not shipped:
        captions = [] if caption_file is None else load_captions(caption_file)
        index = arrange_single_shot(benchmark, str(root), index.images().values(), captions)
    if caption_file is not None:
        images = index.images().values()
        covered = sum(record.captions is not None for record in images)
        say(f'{index.name}: {covered:,} of {len(images):,} images have captions')
    return index


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


def _paths(listings: Sequence[dict[str, Listing]]) -> dict[str, None]:
    """Paths of the images of all splits and roles, each once and in their order."""
    return dict.fromkeys(path for listing in listings for items in listing.values() for path, _, _ in items)
