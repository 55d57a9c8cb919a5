"""Caption files: one reader for the nine files that CMDG's authors released and for our own format."""

import logging
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.logging import print_log

from cmdg_plugin.datasets.caption_fields import SPLITS, FieldError, clean_captions, clean_path, read_facts, show
from cmdg_plugin.datasets.faulty_rows import read_all
from cmdg_plugin.datasets.json_stream import RepeatedKey, decode_json
from cmdg_plugin.datasets.paused_collector import collector_paused
from cmdg_plugin.datasets.repeats import Repeats

_SPLIT_KEYS = ('train', 'query', 'gallery')


@dataclass(frozen=True, slots=True)
class CaptionRecord:
    """One image and its four captions; None where a file does not say.

    Attributes:
        file_path: Path below the dataset's root, with forward slashes and no leading one.
        captions: Four sentences: global, upper, middle, lower third (file order).
        identity: Who is in the image, as the file numbers people.
        camera: Which camera took it, as the file numbers cameras.
        split: `train`, `val`, `query` or `gallery`.
        split_index: Position of the split in a file that holds several, from 0.
    """

    file_path: str
    captions: tuple[str, str, str, str]
    identity: int | None = None
    camera: int | None = None
    split: str | None = None
    split_index: int | None = None


_FileState = tuple[int, int]
_Entry = tuple[str, object, str | None, int | None]
_cache: dict[Path, tuple[_FileState, tuple[CaptionRecord, ...]]] = {}
_cache_lock = threading.Lock()


def load_captions(path: str | Path) -> list[CaptionRecord]:
    """Read a caption file in any of the nine released nestings or in our own flat one.

    Released (Market-1501, MSMT17, CUHK02, CUHK03, CUHK-SYSU, VIPeR): a list of records. Released (GRID, iLIDS, PRID): a
    list of splits, each `{train, query, gallery}` of records. Own: a list of records with `file_path`, `captions` and,
    if known, `identity`, `camera`, `split`. A file is read once per process as long as it does not change. How many
    records only repeat another one of their split is logged.

    Args:
        path: The JSON file.

    Returns:
        Its records in file order; a file of several splits gives one record per image and split.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file or one of its records is not as described, or two records of one image (in one split)
            disagree; names file, record numbers and key.
    """
    path = Path(path).expanduser().resolve()
    if not path.is_file():
        raise FileNotFoundError(f'no caption file at {path}; give the path of a caption JSON')
    stat = path.stat()
    state = (stat.st_mtime_ns, stat.st_size)
    with _cache_lock:
        cached = _cache.get(path)
        if cached is None or cached[0] != state:
            with collector_paused():
                cached = (state, tuple(_read(path)))
            _cache[path] = cached
    return list(cached[1])


def _read(path: Path) -> list[CaptionRecord]:
    content = _decode(path)
    if not isinstance(content, list):
        raise _nesting_error(path, f'the file holds a {type(content).__name__}, not a list')
    if not content:
        raise _nesting_error(path, 'the list is empty')
    splits = [isinstance(entry, dict) and 'file_path' not in entry and _is_split(entry) for entry in content]
    if any(splits) and not all(splits):
        raise _nesting_error(path, f'entry {splits.index(False)} is no split, though others are')
    repeats = Repeats()
    entries = _list_splits(path, content) if any(splits) else _list_records(content)

    def read(entry: _Entry) -> CaptionRecord:
        record = _parse(path, *entry)
        said = (record.identity, record.camera, record.split, record.captions)
        repeats.is_new((record.split_index, record.file_path), record.file_path, said, f'{path}, {entry[0]}')
        return record

    records = read_all(entries, read)
    if not records:
        raise _nesting_error(path, 'its splits are empty')
    if repeats.count:
        print_log(f'{path}: {repeats.count:,} records repeat another one', logger='current', level=logging.WARNING)
    return records


def _decode(path: Path) -> Any:
    try:
        return decode_json(path.read_bytes().decode('utf-8-sig'))
    except ValueError as error:
        raise ValueError(f'{path} is no JSON file: {error}') from error


def _is_split(entry: Mapping[str, object]) -> bool:
    return any(key in entry for key in _SPLIT_KEYS)


def _list_records(content: list[object]) -> Iterator[_Entry]:
    for number, entry in enumerate(content):
        yield f'record {number}', entry, None, None


def _list_splits(path: Path, content: list[Mapping[str, object]]) -> Iterator[_Entry]:
    for index, split in enumerate(content):
        if isinstance(split, RepeatedKey):
            raise _nesting_error(path, f'split {index} has the key {split.key!r} twice')
        unknown = [key for key, value in split.items() if isinstance(value, list) and key not in SPLITS]
        if unknown:
            raise _nesting_error(path, f'split {index} has a list {show(unknown[0])}, whose role is unknown')
        for key in dict.fromkeys((*_SPLIT_KEYS, *(role for role in SPLITS if role in split))):
            records = split.get(key)
            if not isinstance(records, list):
                found = f'a {type(records).__name__}' if key in split else 'nothing'
                raise _nesting_error(path, f'split {index}, key {key!r}: expected a list of records, got {found}')
            for number, record in enumerate(records):
                yield f'split {index}, {key}, record {number}', record, key, index


def _parse(path: Path, where: str, record: object, split: str | None, split_index: int | None) -> CaptionRecord:
    if not isinstance(record, dict):
        raise _nesting_error(path, f'{where}: expected a record, got a {type(record).__name__}')
    try:
        file_path = clean_path(record.get('file_path'))
        facts = read_facts(record, file_path)
        captions = clean_captions(record.get('captions'))
    except FieldError as error:
        raise ValueError(f'{path}, {where} (counted from 0), key {error.key!r}: {error}') from error
    return CaptionRecord(
        file_path=file_path,
        captions=captions,
        identity=facts.identity,
        camera=facts.camera,
        split=split or facts.split,
        split_index=split_index,
    )


def _nesting_error(path: Path, found: str) -> ValueError:
    return ValueError(
        f'{path} is no caption file: {found}. Expected a list of records with file_path and captions, or a list of '
        f'splits, each with the keys {", ".join(_SPLIT_KEYS)}'
    )
