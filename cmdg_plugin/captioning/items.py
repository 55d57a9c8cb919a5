"""The images to caption: those of a folder, or those that an index names."""

import csv
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cmdg_plugin.captioning.json_stream import iterate_json_list
from cmdg_plugin.datasets.caption_fields import SPLITS, FieldError, clean_path, read_facts

IMAGE_SUFFIXES = frozenset({'.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff'})
"""What counts as an image in a folder."""

_PATH_KEYS = ('file_path', 'path')


@dataclass(frozen=True, slots=True)
class CaptionItem:
    """One image to caption; None where nothing says who, which camera or which split.

    Attributes:
        file_path: Path below the image root, with forward slashes.
        identity: Who is in it.
        camera: Which camera took it.
        split: `train`, `val`, `query` or `gallery`.
    """

    file_path: str
    identity: int | None = None
    camera: int | None = None
    split: str | None = None


def default_image_root(source: Path) -> Path:
    """Where the paths of a source start: the folder itself, or the folder that an index lies in."""
    return source if source.is_dir() else source.parent


def iterate_items(source: Path) -> Iterator[CaptionItem]:
    """Go through the images of a folder (with subfolders) or of an index, without holding them all.

    An index is a caption file (released or ours; its captions are not used), a JSON list or JSON Lines of records, or a
    CSV with a header line. Keys or columns: `file_path` or `path`; if known `identity`, `camera`, `split`. What they do
    not say is read from Market-1501-like file names, as `load_captions` does. A folder comes in no particular order.

    Raises:
        FileNotFoundError: If there is no such folder or file.
        ValueError: If the index cannot be read, or a record has no usable path.
    """
    if source.is_dir():
        return _folder_items(source)
    if not source.is_file():
        raise FileNotFoundError(f'no images at {source}; give a folder of images, or an index (.json, .jsonl, .csv)')
    readers = {'.json': _json_records, '.jsonl': _json_lines, '.csv': _csv_rows}
    reader = readers.get(source.suffix.lower())
    if reader is None:
        raise ValueError(f'{source} is no index that can be read; expected one of {", ".join(readers)}')
    return (_item(record, where) for where, record in reader(source))


def _folder_items(root: Path) -> Iterator[CaptionItem]:
    folders = [root]
    while folders:
        folder = folders.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                # Links to folders may lead in circles.
                if entry.is_dir(follow_symlinks=False):
                    folders.append(Path(entry.path))
                elif os.path.splitext(entry.name)[1].lower() in IMAGE_SUFFIXES and entry.is_file():
                    yield _folder_item(os.path.relpath(entry.path, root))


def _folder_item(name: str) -> CaptionItem:
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f'the file name {name!r} is not UTF-8, so no caption file can hold it; rename it') from error
    item = _item({'path': name}, f'file {name!r}')
    if item.file_path != name:
        raise ValueError(
            f'the file name {name!r} would be read from a caption file as {item.file_path!r}; rename it, without '
            'backslashes and without spaces at its ends'
        )
    return item


def _json_records(path: Path) -> Iterator[tuple[str, Any]]:
    for number, entry in enumerate(iterate_json_list(path)):
        if isinstance(entry, dict) and not any(key in entry for key in _PATH_KEYS):
            splits = [key for key in SPLITS if isinstance(entry.get(key), list)]
            if splits:
                for split in splits:
                    for record in entry[split]:
                        yield f'{path}, split {number}, {split}', record
                continue
        yield f'{path}, record {number}', entry


def _json_lines(path: Path) -> Iterator[tuple[str, Any]]:
    with path.open(encoding='utf-8-sig') as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                yield f'{path}, line {number}', json.loads(line)
            except json.JSONDecodeError as error:
                raise ValueError(f'{path}, line {number} is no JSON: {error}') from error


def _csv_rows(path: Path) -> Iterator[tuple[str, Any]]:
    with path.open(encoding='utf-8-sig', newline='') as file:
        rows = csv.DictReader(file)
        if not any(key in (rows.fieldnames or ()) for key in _PATH_KEYS):
            raise ValueError(
                f'{path} has no column {" or ".join(_PATH_KEYS)}; its first line must name the columns '
                f'(file_path, identity, camera, split), but is {",".join(rows.fieldnames or ())!r}'
            )
        for row in rows:
            # An empty cell says nothing, like a key that is absent.
            yield f'{path}, line {rows.line_num}', {key: value for key, value in row.items() if key and value}


def _item(record: object, where: str) -> CaptionItem:
    if not isinstance(record, Mapping):
        raise ValueError(f'{where}: expected a record, got a {type(record).__name__}')
    try:
        file_path = clean_path(next((record[key] for key in _PATH_KEYS if key in record), None))
        facts = read_facts(record, file_path)
    except FieldError as error:
        raise ValueError(f'{where}, key {error.key!r}: {error}') from error
    return CaptionItem(file_path, facts.identity, facts.camera, facts.split)
