"""Splits of the small sets that are evaluated on ten, drawn by us where a dataset ships no official ones."""

import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from cmdg_plugin.datasets.caption_fields import SPLITS, CaptionRecord
from cmdg_plugin.datasets.sources.benchmark import Benchmark
from cmdg_plugin.datasets.sources.index import SourceIndex, SourceRecord, SourceSplit, make_split
from cmdg_plugin.saying import warn

NUM_SPLITS = 10
_SEED = 2011
_T = TypeVar('_T')


def draw_people(people: Iterable[int]) -> list[tuple[set[int], list[int]]]:
    """Share people out into halves, the same on every machine; of an odd number the test half gets one more.

    Returns:
        Per split, who is trained on and, in random order, who is tested on.
    """
    numbers = sorted(set(people))
    half = len(numbers) // 2
    orders = [_shuffled(numbers, random.Random(_SEED + split)) for split in range(NUM_SPLITS)]
    return [(set(order[:half]), order[half:]) for order in orders]


def draw_splits(benchmark: Benchmark, records: Sequence[SourceRecord]) -> tuple[SourceSplit, ...]:
    """Draw ten splits of VIPeR, PRID or iLIDS from all of the dataset's images.

    VIPeR and PRID ask with the first camera and look among the second one's images, PRID's distractors included; iLIDS
    asks with one random image of each person for another.

    Raises:
        ValueError: If the dataset ships its own splits or has but one.
    """
    askers = {'two cameras': _two_cameras, 'any two images': _any_two_images}
    if benchmark.ten_splits not in askers:
        raise ValueError(f'{benchmark.name}: splits are drawn of {" and ".join(askers)}, not {benchmark.ten_splits!r}.')
    ask = askers[benchmark.ten_splits]
    ordered = sorted(records, key=lambda record: record.path)
    images = _several_each(record for record in ordered if not record.distractor)
    distractors = [record for record in ordered if record.distractor]
    splits = []
    for number, (trained, tested) in enumerate(draw_people(images)):
        train = [record for identity in sorted(trained) for record in images[identity]]
        query, gallery = ask(tested, images, random.Random(_SEED - 1 - number))
        splits.append(make_split({'train': train, 'query': query, 'gallery': [*gallery, *distractors]}))
    return tuple(splits)


def arrange_single_shot(
    benchmark: Benchmark, root: str, images: Iterable[SourceRecord], captions: Sequence[CaptionRecord]
) -> SourceIndex:
    """Draw a single-shot set's ten splits and add the released one of its caption file.

    A caption file with ten splits of its own (iLIDS) gives all of them. Without one the first drawn split takes
    the place of the released one.

    Args:
        benchmark: The dataset.
        root: Root of its images.
        images: All of them.
        captions: Records of the caption file, possibly none.
    """
    images = list(images)
    drawn = draw_splits(benchmark, images)
    by_key = {benchmark.join_key(f'/{record.path}'): record for record in images}
    released = _splits_of_captions(benchmark, by_key, captions)
    if not released:
        warn(
            f'{benchmark.name}: the released split is in the caption file, which was not given; the first of ten drawn '
            f'splits takes its place'
        )
        return SourceIndex(benchmark.name, root, drawn)
    if len(released) > 1:
        return SourceIndex(benchmark.name, root, released, released=-1)
    return SourceIndex(benchmark.name, root, (*drawn, *released), released=-1, num_listed=len(drawn))


def _splits_of_captions(
    benchmark: Benchmark, images: dict[tuple[str, ...] | None, SourceRecord], captions: Sequence[CaptionRecord]
) -> tuple[SourceSplit, ...]:
    roles: dict[int, dict[str, dict[str, SourceRecord]]] = {}
    left_out = 0
    for item in captions:
        record = images.get(benchmark.join_key(f'/{item.file_path}'))
        left_out += record is None or item.split is None
        if record is not None and item.split is not None:
            split = roles.setdefault(item.split_index or 0, {role: {} for role in SPLITS})
            split[item.split][record.path] = record
    if left_out and roles:
        warn(
            f'{benchmark.name}: the splits of the caption file lack {left_out:,} of its {len(captions):,} records, '
            f'whose image or role is not known'
        )
    return tuple(
        make_split({role: records.values() for role, records in roles[number].items()}) for number in sorted(roles)
    )


_Asking = tuple[list[SourceRecord], list[SourceRecord]]
"""Queries and gallery."""


def _two_cameras(tested: Sequence[int], images: Mapping[int, list[SourceRecord]], rng: random.Random) -> _Asking:
    """Ask with all images of the first camera for those of the other."""
    shown = [record for identity in sorted(tested) for record in images[identity]]
    first = min((record.camera or 0 for record in shown), default=0)
    query = [record for record in shown if (record.camera or 0) == first]
    return query, [record for record in shown if (record.camera or 0) != first]


def _any_two_images(tested: Sequence[int], images: Mapping[int, list[SourceRecord]], rng: random.Random) -> _Asking:
    """Ask with one image of each identity for another."""
    pairs = [_shuffled(images[identity], rng)[:2] for identity in tested]
    return [first for first, _ in pairs], [second for _, second in pairs]


def _several_each(records: Iterable[SourceRecord]) -> dict[int, list[SourceRecord]]:
    """Images of each identity that has two or more; others can be neither asked for nor found."""
    images: dict[int, list[SourceRecord]] = defaultdict(list)
    for record in records:
        images[record.identity].append(record)
    return {identity: found for identity, found in images.items() if len(found) > 1}


def _shuffled(items: Sequence[_T], rng: random.Random) -> list[_T]:
    # Of Python's generators only `random()` is promised to give the same numbers in every version.
    keys = [rng.random() for _ in items]
    return [item for _, item in sorted(zip(keys, items, strict=True), key=lambda pair: pair[0])]
