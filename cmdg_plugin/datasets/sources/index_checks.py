"""What must hold of every source's index, whoever made it, and a line that sums it up."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from cmdg_plugin.datasets.caption_fields import SPLITS
from cmdg_plugin.datasets.sources.image_files import locate
from cmdg_plugin.datasets.sources.index import SourceIndex, SourceRecord
from cmdg_plugin.saying import say, warn

_TRAINED = ('train', 'val')
_TESTED = ('query', 'gallery')


class _Seen(NamedTuple):
    role: str
    record: SourceRecord


def check_index(index: SourceIndex) -> None:
    """Refuse an index that says two things about one file, under one name or, by links, under two.

    A query that stands in the gallery too is taken where cameras are known, since the same-camera rule leaves it out.

    Raises:
        ValueError: If within a split a file has two identities, cameras or captions, is trained on and tested on, or is
            a query and, without cameras, in the gallery.
    """
    records = index.images()
    absolute = [index.absolute(record) for record in records.values()]
    places = dict(zip(records, locate(absolute), strict=True))
    repeated = 0
    for split in index.splits:
        seen: dict[str, _Seen] = {}
        for role, record in split.members():
            one = seen.setdefault(places[record.path], _Seen(role, record))
            if one.record is record and one.role == role:
                continue
            repeated += 1
            if problem := _disagreement(one, _Seen(role, record), index.has_cameras):
                names = ' and '.join(dict.fromkeys((one.record.path, record.path)))
                raise ValueError(
                    f'{index.name}: {names} ({one.role} and {role}) below {index.root} is one file, {problem}. Keep '
                    f'one of them.'
                )
    if repeated:
        warn(f'{index.name}: {repeated:,} images are listed twice')


def _disagreement(one: _Seen, other: _Seen, has_cameras: bool) -> str:
    for field in ('identity', 'camera', 'captions', 'sentences'):
        values = [getattr(seen.record, field) for seen in (one, other)]
        if values[0] != values[1]:
            return (
                f'but has two {field} values'
                if field in ('captions', 'sentences')
                else f'but has {field} {values[0]} and {values[1]}'
            )
    if (one.role in _TRAINED) != (other.role in _TRAINED):
        return 'but is trained on and tested on'
    if {one.role, other.role} == set(_TESTED) and not has_cameras:
        return 'and without cameras a query finds itself'
    return ''


def log_summary(index: SourceIndex) -> None:
    """Log what a source holds, and warn where that looks like names or rows that were misread."""
    say(summarize(index))
    for warning in find_oddities(index):
        warn(f'{index.name}: {warning}')


def summarize(index: SourceIndex) -> str:
    """Say in one line how many images, identities and cameras the released split has, and how many captions."""
    split = index.split()
    parts = []
    for role in SPLITS:
        if records := getattr(split, role):
            identities = _images_each(records)
            each = sorted(identities.values())
            spread = f'{len(records) / len(identities):.1f} each, {each[0]:,} to {each[-1]:,}'
            parts.append(f'{role} {len(records):,} images of {len(identities):,} identities ({spread})')
    records = {record.path: record for _, record in split.members()}
    cameras = {record.camera for record in records.values()} - {None}
    captions = sum(record.captions is not None for record in records.values())
    known = f'{len(cameras):,} cameras' if index.has_cameras else 'cameras unknown'
    described = f'{captions:,} of {len(records):,} with captions'
    if sentences := sum(len(record.sentences) for record in records.values()):
        described = f'{sentences:,} sentences'
    return f'{index.name}: {"; ".join(parts)}; {known}; {described}'


def find_oddities(index: SourceIndex) -> Iterator[str]:
    """Say what of an index is possible, but more often a mistake or the result of misread names."""
    split = index.split()
    seen = []
    for what, roles in (('train', _TRAINED), ('query and gallery', _TESTED)):
        records = {r.path: r for role, r in split.members() if role in roles and not r.distractor}.values()
        identities = _images_each(records)
        seen.append(identities.keys())
        alone = sum(count == 1 for count in identities.values())
        if alone * 2 > len(identities):
            yield (
                f'{alone:,} of {len(identities):,} identities of {what} have one image only; are the numbers those of '
                f'people, or of frames?'
            )
        if len(identities) == 1 and len(records) > 1:
            yield f'all {len(records):,} images of {what} show one identity, {next(iter(identities))[1]}'
    trained, tested = seen
    if shared := trained & tested:
        yield (
            f'{len(shared):,} identities are trained on and looked for as well, the first is {min(shared)[1]}; '
            'scores on identities that the model knows say little about others'
        )
    listed = {record.path: record for _, record in split.members()}.values()
    known = sum(record.camera is not None for record in listed)
    if known and not index.has_cameras:
        yield f'{known:,} of {len(listed):,} images have a camera; as the others have none, no camera counts'


def _images_each(records: Iterable[SourceRecord]) -> Counter[tuple[str, int]]:
    return Counter((record.scope, record.identity) for record in records)
