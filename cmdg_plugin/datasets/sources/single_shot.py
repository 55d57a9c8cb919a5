"""Splits of the small sets that are evaluated on ten, drawn by us where a dataset ships no official ones."""

import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
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
    makers: dict[str, Callable[[Sequence[SourceRecord]], list[SourceSplit]]] = {
        'two cameras': _two_cameras,
        'any two images': _any_two_images,
    }
    if benchmark.ten_splits not in makers:
        raise ValueError(f'{benchmark.name}: splits are drawn of {" and ".join(makers)}, not {benchmark.ten_splits!r}.')
    return tuple(makers[benchmark.ten_splits](sorted(records, key=lambda record: record.path)))


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


def _two_cameras(records: Sequence[SourceRecord]) -> list[SourceSplit]:
    by_person = _by_person(record for record in records if not record.distractor)
    distractors = tuple(record for record in records if record.distractor)
    first = min((record.camera or 0 for record in records), default=0)
    splits = []
    for trained, tested in draw_people(by_person):
        images = [record for person in sorted(tested) for record in by_person[person]]
        splits.append(
            SourceSplit(
                train=tuple(record for person in sorted(trained) for record in by_person[person]),
                query=tuple(record for record in images if (record.camera or 0) == first),
                gallery=(*(record for record in images if (record.camera or 0) != first), *distractors),
            )
        )
    return splits


def _any_two_images(records: Sequence[SourceRecord]) -> list[SourceSplit]:
    by_person = _by_person(records)
    splits = []
    for number, (trained, tested) in enumerate(draw_people(by_person)):
        rng = random.Random(_SEED - 1 - number)
        pairs = [_shuffled(by_person[person], rng)[:2] for person in tested]
        splits.append(
            SourceSplit(
                train=tuple(record for person in sorted(trained) for record in by_person[person]),
                query=tuple(first for first, _ in pairs),
                gallery=tuple(second for _, second in pairs),
            )
        )
    return splits


def _by_person(records: Iterable[SourceRecord]) -> dict[int, list[SourceRecord]]:
    people: dict[int, list[SourceRecord]] = defaultdict(list)
    for record in records:
        people[record.identity].append(record)
    return {person: images for person, images in people.items() if len(images) > 1}


def _shuffled(items: Sequence[_T], rng: random.Random) -> list[_T]:
    # Of Python's generators only `random()` is promised to give the same numbers in every version.
    keys = [rng.random() for _ in items]
    return [item for _, item in sorted(zip(keys, items, strict=True), key=lambda pair: pair[0])]
