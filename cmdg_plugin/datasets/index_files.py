"""Lists of images: those of a folder, or the rows of an index file (JSON, JSON Lines, CSV)."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cmdg_plugin.datasets.caption_fields import SPLITS, Facts, FieldError, clean_path, is_writable, read_facts, show
from cmdg_plugin.datasets.csv_rows import iterate_csv
from cmdg_plugin.datasets.json_stream import RepeatedKey, decode_json, iterate_json_list
from cmdg_plugin.files.listing import FolderListing
from cmdg_plugin.files.witness import exists, note

PATH_KEYS = ('file_path', 'path')


class NestingError(ValueError):
    """Something that does not belong where it stands in a list of records; the reader adds the file."""


@dataclass(frozen=True, slots=True)
class IndexRow:
    """One image as a folder or an index file lists it.

    Attributes:
        record: What is said about it, as read; the path of an image of a folder.
        where: File and row, as errors show them.
        field: What a field of the record is called there: `key` or `column`.
        split: Role that a file of several splits lists it under.
        split_index: Position of that split in the file.
    """

    record: Mapping[str, Any]
    where: str
    field: str = 'key'
    split: str | None = None
    split_index: int | None = None

    def read(self, *, prefixes: bool = True) -> tuple[str, Facts]:
        """Return the image's path below the root, and who, which camera and which role, from fields and file name.

        Raises:
            ValueError: If a field cannot be what it should; names file, row and field.
        """
        try:
            return self.parse(prefixes=prefixes)
        except FieldError as error:
            raise self.fault(error.key, str(error)) from error

    def parse(self, *, prefixes: bool = True) -> tuple[str, Facts]:
        """As `read`, but raises the `FieldError` itself."""
        file_path = self._read_path()
        return file_path, read_facts(self.record, file_path, prefixes=prefixes)

    def _read_path(self) -> str:
        given = [key for key in PATH_KEYS if self.record.get(key) is not None] or [PATH_KEYS[0]]
        paths = [clean_path(self.record.get(key), key) for key in given]
        if paths[0] != paths[-1]:
            raise FieldError(given[-1], f'says {show(paths[-1])}, but {given[0]!r} says {show(paths[0])}; keep one')
        return paths[0]

    def fault(self, key: str, message: str) -> ValueError:
        """Make the error that names file, row and field."""
        return ValueError(f'{self.where}, {self.field} {key!r}: {message}.')


def iterate_rows(source: Path) -> Iterator[IndexRow]:
    """Go through the images of a folder (with subfolders) or of an index, without holding them all.

    An index is a caption file (released or ours), a JSON list or JSON Lines of records, or a CSV with a header line. A
    folder comes in no particular order; how many of its files are not images is logged at its end.

    Raises:
        FileNotFoundError: If there is no such folder or file.
        ValueError: If the index cannot be read; the rest is raised when the reader gets there.
    """
    note(source)
    if source.is_dir():
        return _folder_rows(source)
    if not source.is_file():
        raise FileNotFoundError(f'no images at {source}; give a folder of images, or an index (.json, .jsonl, .csv).')
    readers: Mapping[str, Callable[[Path], Iterator[IndexRow | NestingError]]] = {
        '.json': lambda path: iterate_entries(path, iterate_json_list(path)),
        '.jsonl': _json_lines,
        '.csv': _csv_rows,
    }
    reader = readers.get(source.suffix.lower())
    if reader is None:
        raise ValueError(f'{source} is not an index that can be read; expected one of {", ".join(readers)}.')
    return _decoded(reader(source), source)


def _decoded(rows: Iterator[IndexRow | NestingError], source: Path) -> Iterator[IndexRow]:
    try:
        for row in rows:
            if isinstance(row, NestingError):
                raise row
            yield row
    except UnicodeDecodeError as error:
        raise ValueError(f'{source} is not written in UTF-8 ({error}); save it in that encoding.') from error
    except NestingError as error:
        raise ValueError(f'{source}, {error}.') from error


def default_image_root(source: Path) -> Path:
    """Where the paths of a list start: the folder itself, or the folder that an index lies in."""
    return source if source.is_dir() else source.parent


def make_relative(root: Path) -> Callable[[str], str]:
    """Make a function that turns absolute paths, whose leading slash is gone, into paths below a root.

    Released caption files begin relative paths with a slash too; where the root has a folder that its own path begins
    with, a path is taken for one of these.
    """
    own = {f'{place}/'.lstrip('/') for place in (os.path.abspath(root), os.path.realpath(root))}
    prefixes = tuple(prefix for prefix in own if prefix and not exists(root / prefix.split('/')[0]))
    return lambda path: next((path[len(prefix) :] for prefix in prefixes if path.startswith(prefix)), path)


def _folder_rows(root: Path) -> Iterator[IndexRow]:
    listing = FolderListing(root)
    for name in listing:
        where = f'{root}, file {name!r}'
        yield IndexRow({'path': _checked_name(name, where)}, where)
    listing.log()


def _checked_name(name: str, where: str) -> str:
    """Return a file's name if it survives being written to a caption file and read back."""
    if not is_writable(name):
        raise ValueError(f'{where}: the name is not UTF-8, so no caption file can hold it; rename it.')
    try:
        read_back = clean_path(name)
    except FieldError as error:
        raise ValueError(f'{where}: {error}; rename it.') from error
    if read_back != name:
        raise ValueError(
            f'{where}: the name would be read from a caption file as {read_back!r}; rename it, without backslashes and '
            'without spaces at its ends.'
        )
    return name


def iterate_entries(
    path: Path, entries: Iterable[object], required: Sequence[str] = ()
) -> Iterator[IndexRow | NestingError]:
    """Go through the records of a list: of records, or of splits that hold a list of records for each role.

    Whatever stands in the place of a record comes as the error that says so, so that the reader may go on.

    Args:
        path: The file, for errors.
        entries: What its list holds.
        required: Roles that every split must have.

    Raises:
        NestingError: If the nesting is neither; raised when the reader gets there.
    """
    nested = None
    for number, entry in enumerate(entries):
        is_split = (
            isinstance(entry, dict) and entry.keys().isdisjoint(PATH_KEYS) and not entry.keys().isdisjoint(SPLITS)
        )
        if nested is not None and nested != is_split:
            raise NestingError(f'entry {number if nested else 0} is not a split, though others are')
        nested = is_split
        if isinstance(entry, dict) and is_split:
            yield from _split_rows(path, entry, number, required)
        else:
            yield _json_row(entry, path, f'record {number}')


def _split_rows(
    path: Path, split: Mapping[str, Any], index: int, required: Sequence[str]
) -> Iterator[IndexRow | NestingError]:
    if isinstance(split, RepeatedKey):
        raise NestingError(f'split {index} has the key {split.key!r} twice')
    unknown = [key for key, value in split.items() if isinstance(value, list) and key not in SPLITS]
    if unknown:
        raise NestingError(f'split {index} has a list {show(unknown[0])}, whose role is unknown')
    for role in SPLITS:
        if role not in split and role not in required:
            continue
        records = split.get(role)
        if not isinstance(records, list):
            found = f'a {type(records).__name__}' if role in split else 'nothing'
            raise NestingError(f'split {index}, key {role!r}: expected a list of records, got {found}')
        for number, record in enumerate(records):
            yield _json_row(record, path, f'split {index}, {role}, record {number}', role, index)


def _json_lines(path: Path) -> Iterator[IndexRow | NestingError]:
    with path.open(encoding='utf-8-sig') as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                record = decode_json(line)
            except ValueError as error:
                raise ValueError(f'{path}, line {number} is not JSON: {error}.') from error
            yield _json_row(record, path, f'line {number}')


def _json_row(
    record: object, path: Path, place: str, split: str | None = None, split_index: int | None = None
) -> IndexRow | NestingError:
    if not isinstance(record, Mapping):
        return NestingError(f'{place}: expected a record, got a {type(record).__name__}')
    return IndexRow(record, f'{path}, {place}', split=split, split_index=split_index)


def _csv_rows(path: Path) -> Iterator[IndexRow]:
    for line, record in iterate_csv(path, PATH_KEYS):
        yield IndexRow(record, f'{path}, line {line}', 'column')
