"""Caption files: one reader for the nine files that CMDG's authors released and for our own format."""

from functools import lru_cache
from pathlib import Path
from typing import Any

from cmdg_plugin.datasets.caption_fields import CaptionRecord, FieldError, clean_captions
from cmdg_plugin.datasets.faulty_rows import read_all
from cmdg_plugin.datasets.index_files import IndexRow, NestingError, iterate_entries
from cmdg_plugin.datasets.json_stream import decode_json
from cmdg_plugin.datasets.paused_collector import collector_paused
from cmdg_plugin.datasets.repeats import Repeats
from cmdg_plugin.files.witness import note
from cmdg_plugin.saying import warn

_SPLIT_KEYS = ('train', 'query', 'gallery')


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
    path = Path(path).expanduser()
    note(path)
    path = path.resolve()
    if not path.is_file():
        raise FileNotFoundError(f'no caption file at {path}; give the path of a caption JSON.')
    stat = path.stat()
    return list(_read(path, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size))


@lru_cache(maxsize=32)
@collector_paused()
def _read(path: Path, *state: int) -> list[CaptionRecord]:
    """Read a file, or take what was read of it when it was in the same state."""
    content = _decode(path)
    if not isinstance(content, list):
        raise _nesting_error(path, f'the file holds a {type(content).__name__}, not a list')
    if not content:
        raise _nesting_error(path, 'the list is empty')
    repeats = Repeats()

    def read(row: IndexRow | NestingError) -> CaptionRecord:
        record = _parse(path, row)
        repeats.first(record)
        return record

    try:
        records = read_all(iterate_entries(path, content, _SPLIT_KEYS), read)
    except NestingError as error:
        raise _nesting_error(path, str(error)) from error
    if not records:
        raise _nesting_error(path, 'its splits are empty')
    if repeats.count:
        warn(f'{path}: {repeats.count:,} records repeat another one')
    return records


def _decode(path: Path) -> Any:
    try:
        return decode_json(path.read_bytes().decode('utf-8-sig'))
    except ValueError as error:
        raise ValueError(f'{path} is not a JSON file: {error}.') from error


def _parse(path: Path, row: IndexRow | NestingError) -> CaptionRecord:
    if isinstance(row, NestingError):
        raise _nesting_error(path, str(row))
    try:
        file_path, (identity, camera, split) = row.parse()
        captions = clean_captions(row.record.get('captions'))
    except FieldError as error:
        raise ValueError(f'{row.where} (counted from 0), key {error.key!r}: {error}.') from error
    return CaptionRecord(file_path, captions, identity, camera, row.split or split, row.split_index, row.where)


def _nesting_error(path: Path, found: str) -> ValueError:
    return ValueError(
        f'{path} is not a caption file: {found}. Expected a list of records with file_path and captions, or a list of '
        f'splits, each with the keys {", ".join(_SPLIT_KEYS)}.'
    )
