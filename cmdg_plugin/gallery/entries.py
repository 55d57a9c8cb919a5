"""What is put into a gallery: images of a folder, rows of an index or a caption file, or files one by one."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from cmdg_plugin.datasets.caption_fields import (
    CAMERA_KEYS,
    IDENTITY_KEYS,
    ROLE_KEYS,
    FieldError,
    is_writable,
    read_facts,
    show,
)
from cmdg_plugin.datasets.index_files import PATH_KEYS, IndexRow, default_image_root, iterate_rows, make_relative
from cmdg_plugin.files.listing import FolderListing
from cmdg_plugin.gallery.columns import KNOWN_COLUMNS, Value, column_name, common_kind, kind_of, read_time
from cmdg_plugin.saying import warn

_INDEX_SUFFIXES = ('.json', '.jsonl', '.csv')
_CAPTION_KEYS = ('caption', 'captions', 'global')
_READ_ELSEWHERE = (*PATH_KEYS, *IDENTITY_KEYS, *CAMERA_KEYS, *ROLE_KEYS, *_CAPTION_KEYS, 'time')


@dataclass(frozen=True, slots=True)
class Entry:
    """One image of a gallery and what is known of it; see `Match`.

    In further columns, numbers of a CSV file are text until their column's type is known.
    """

    path: str
    identity: str | None = None
    camera: int | None = None
    time: str | None = None
    caption: str | None = None
    columns: Mapping[str, Value] = field(default_factory=dict)
    only_named: bool = field(default=False, compare=False)
    """Whether all that is known comes from the file's name, which an index knows better."""


Source: TypeAlias = str | os.PathLike[str]
"""A folder, an index or caption file, or an image."""


def iterate_entries(
    sources: Iterable[Source], root: str | os.PathLike[str] | None = None, *, log: bool = True
) -> Iterator[Entry]:
    """Go through the images that a caller names.

    Paths are made absolute. Who, which camera and which role is read from an index as everywhere in this package, and
    else from the names of files; identities may also be names.

    Args:
        sources: Folders, index files and images.
        root: Where paths of index files start; by default the folder that each lies in.
        log: Whether to log what is left out.

    Raises:
        FileNotFoundError: If there is no such folder or index.
        ValueError: If a row of an index is not as described; names file, row and column. If a name is empty.
    """
    for source in sources:
        if not os.fspath(source):  # such as a variable of the shell that is not set; it would be the current folder
            raise ValueError('An empty name was given for a folder, an index or an image.')
        path = Path(os.path.expanduser(source))
        if path.is_dir():
            listing = FolderListing(path)
            for name in sorted(listing):
                # The folder's own name may say the role, as that of `query` does.
                yield _named(path / name, f'{Path(os.path.abspath(path)).name}/{name}')
            if log:
                listing.log()
        elif path.suffix.lower() in _INDEX_SUFFIXES:
            yield from _index_entries(
                path, default_image_root(path) if root is None else Path(os.path.expanduser(root)), log
            )
        elif not path.suffix and not path.exists():
            raise FileNotFoundError(f'There is no folder at {path}.')
        else:
            yield _named(path, '/'.join(Path(os.path.abspath(path)).parts[-2:]))


def survey(sources: Iterable[Source], root: str | os.PathLike[str] | None = None) -> tuple[int, dict[str, type]]:
    """Count the images that a caller names, and find the types of their further columns; see `iterate_entries`."""
    count, kinds = 0, dict[str, type]()
    for entry in iterate_entries(sources, root, log=False):
        count += 1
        for name, value in entry.columns.items():
            kind = kind_of(value)
            kinds[name] = common_kind(kinds.get(name, kind), kind)
    return count, kinds


def _named(path: Path, name: str) -> Entry:
    """An entry of which nothing is known but what its name says."""
    try:
        identity, camera, role = read_facts({}, name)
    except FieldError:
        identity = camera = role = None
    columns: dict[str, Value] = {} if role is None else {'role': role}
    return Entry(
        os.path.abspath(path), None if identity is None else str(identity), camera, columns=columns, only_named=True
    )


def _index_entries(index: Path, root: Path, log: bool) -> Iterator[Entry]:
    relative = make_relative(root)
    left_out: Counter[str] = Counter()
    for row in iterate_rows(index):
        yield _read_row(row, root, relative, left_out)
    for name, count in left_out.items() if log else ():
        warn(f'{index}: column {show(name)} is left out of {count:,} entries: it holds neither text nor numbers.')


def _read_row(row: IndexRow, root: Path, relative: Any, left_out: Counter[str]) -> Entry:
    record = row.record
    name = next((key for key in IDENTITY_KEYS if _is_name(record.get(key))), None)
    known = {key: value for key, value in record.items() if key not in IDENTITY_KEYS} if name else record
    below, (identity, camera, role) = IndexRow(known, row.where, row.field, row.split).read(prefixes=False)
    who = str(record[name]).strip() if name else None if identity is None else str(identity)
    columns: dict[str, Value] = {}
    if (row.split or role) is not None:
        columns['role'] = str(row.split or role)
    try:
        key = 'time'
        time = None if record.get('time') is None else read_time(record['time'])
        for key, value in record.items():
            if key in _READ_ELSEWHERE or value is None or not key:
                continue
            if not isinstance(value, str | int | float):
                left_out[key] += 1
                continue
            if isinstance(value, bool):
                value = int(value)
            column = column_name(key)
            if column in columns or column in KNOWN_COLUMNS:
                raise ValueError(f'two columns are called {column}; keep one of them')
            kind_of(value)
            columns[column] = value
    except ValueError as error:
        raise row.fault(key, str(error)) from error
    return Entry(os.path.abspath(root / relative(below)), who, camera, time, _caption(row), columns)


def _is_name(value: object) -> bool:
    """Whether an identity is a name, not a number."""
    if not isinstance(value, str) or not value.strip() or not is_writable(value):
        return False
    try:
        return not float(value.strip()).is_integer()
    except ValueError:
        return True


def _caption(row: IndexRow) -> str | None:
    for key in _CAPTION_KEYS:
        value = row.record.get(key)
        if isinstance(value, list | tuple) and value:
            value = value[0]  # the global one, of four
        if isinstance(value, str) and value.strip():
            if not is_writable(value):
                raise row.fault(key, 'it holds half a character')
            return value
        if value is not None:
            raise row.fault(key, f'expected a sentence, or a list that begins with the global one, got {show(value)}')
    return None
