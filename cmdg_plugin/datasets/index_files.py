"""Lists of images: those of a folder, or the rows of an index file (JSON, JSON Lines, CSV)."""

import csv
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cmdg_plugin.datasets.caption_fields import SPLITS, FieldError, RecordFacts, clean_path, read_facts
from cmdg_plugin.datasets.json_stream import iterate_json_list
from cmdg_plugin.files.images import IMAGE_SUFFIXES

_PATH_KEYS = ('file_path', 'path')


@dataclass(frozen=True, slots=True)
class IndexRow:
    """One image as a folder or an index file lists it.

    Attributes:
        record: What is said about it, as read; the path of an image of a folder.
        where: File and row, as errors show them.
        field: What a field of the record is called there: `key` or `column`.
        in_split: Whether the file holds several splits and this is a record of one of them.
    """

    record: Mapping[str, Any]
    where: str
    field: str = 'key'
    in_split: bool = False

    def read(self) -> tuple[str, RecordFacts]:
        """Return the image's path below the root, and who, which camera and which role, from fields and file name.

        Raises:
            ValueError: If a field cannot be what it should; names file, row and field.
        """
        try:
            file_path = clean_path(next((self.record[key] for key in _PATH_KEYS if key in self.record), None))
            return file_path, read_facts(self.record, file_path)
        except FieldError as error:
            raise self.fault(error.key, str(error)) from error

    def fault(self, key: str, message: str) -> ValueError:
        """Make the error that names file, row and field."""
        return ValueError(f'{self.where}, {self.field} {key!r}: {message}')


def iterate_rows(source: Path) -> Iterator[IndexRow]:
    """Go through the images of a folder (with subfolders) or of an index, without holding them all.

    An index is a caption file (released or ours), a JSON list or JSON Lines of records, or a CSV with a header line. A
    folder comes in no particular order.

    Raises:
        FileNotFoundError: If there is no such folder or file.
        ValueError: If the index cannot be read; the rest is raised when the reader gets there.
    """
    if source.is_dir():
        return _folder_rows(source)
    if not source.is_file():
        raise FileNotFoundError(f'no images at {source}; give a folder of images, or an index (.json, .jsonl, .csv)')
    readers = {'.json': _json_rows, '.jsonl': _json_lines, '.csv': _csv_rows}
    reader = readers.get(source.suffix.lower())
    if reader is None:
        raise ValueError(f'{source} is no index that can be read; expected one of {", ".join(readers)}')
    return _decoded(reader(source), source)


def _decoded(rows: Iterator[IndexRow], source: Path) -> Iterator[IndexRow]:
    try:
        yield from rows
    except UnicodeDecodeError as error:
        raise ValueError(f'{source} is not written in UTF-8 ({error}); save it in that encoding') from error


def default_image_root(source: Path) -> Path:
    """Where the paths of a list start: the folder itself, or the folder that an index lies in."""
    return source if source.is_dir() else source.parent


def _folder_rows(root: Path) -> Iterator[IndexRow]:
    folders = [root]
    while folders:
        folder = folders.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                # Links to folders may lead in circles.
                if entry.is_dir(follow_symlinks=False):
                    folders.append(Path(entry.path))
                elif os.path.splitext(entry.name)[1].lower() in IMAGE_SUFFIXES and entry.is_file():
                    name = os.path.relpath(entry.path, root)
                    yield IndexRow({'path': _checked_name(name)}, f'file {name!r}')


def _checked_name(name: str) -> str:
    """Return a file's name if it survives being written to a caption file and read back."""
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f'the file name {name!r} is not UTF-8, so no caption file can hold it; rename it') from error
    if clean_path(name) != name:
        raise ValueError(
            f'the file name {name!r} would be read from a caption file as {clean_path(name)!r}; rename it, without '
            'backslashes and without spaces at its ends'
        )
    return name


def _json_rows(path: Path) -> Iterator[IndexRow]:
    for number, entry in enumerate(iterate_json_list(path)):
        if isinstance(entry, dict) and not any(key in entry for key in _PATH_KEYS):
            splits = [key for key in SPLITS if isinstance(entry.get(key), list)]
            if splits:
                for split in splits:
                    for record in entry[split]:
                        yield _json_row(record, f'{path}, split {number}, {split}', in_split=True)
                continue
        yield _json_row(entry, f'{path}, record {number}')


def _json_lines(path: Path) -> Iterator[IndexRow]:
    with path.open(encoding='utf-8-sig') as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                yield _json_row(json.loads(line), f'{path}, line {number}')
            except json.JSONDecodeError as error:
                raise ValueError(f'{path}, line {number} is no JSON: {error}') from error


def _json_row(record: object, where: str, *, in_split: bool = False) -> IndexRow:
    if not isinstance(record, Mapping):
        raise ValueError(f'{where}: expected a record, got a {type(record).__name__}')
    return IndexRow(record, where, in_split=in_split)


def _csv_rows(path: Path) -> Iterator[IndexRow]:
    with path.open(encoding='utf-8-sig', newline='') as file:
        rows = csv.DictReader(file)
        if not any(key in (rows.fieldnames or ()) for key in _PATH_KEYS):
            raise ValueError(
                f'{path} has no column {" or ".join(_PATH_KEYS)}; its first line must name the columns '
                f'(path, identity, camera, role), but is {",".join(rows.fieldnames or ())!r}'
            )
        for row in rows:
            where = f'{path}, line {rows.line_num}'
            if None in row:
                raise ValueError(f'{where} has more cells than the first line has columns; quote commas in sentences')
            # An empty cell says nothing, like a key that is absent.
            yield IndexRow({key: value for key, value in row.items() if value}, where, 'column')
