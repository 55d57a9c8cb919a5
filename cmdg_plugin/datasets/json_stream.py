"""Read the entries of a JSON list one at a time, so that an index of a million images needs no memory of its size."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

_CHUNK = 1 << 16
_SPACE = ' \t\r\n'


def iterate_json_list(path: Path) -> Iterator[Any]:
    """Yield the entries of a file that holds one JSON list; memory is that of the largest entry.

    Raises:
        ValueError: If the file holds no list, or ends or breaks inside it; raised when the reader gets there.
    """
    with path.open(encoding='utf-8-sig') as file:
        try:
            yield from _entries(file, path)
        except UnicodeDecodeError as error:
            raise ValueError(f'{path} is no JSON file: {error}') from error


def _entries(file: TextIO, path: Path) -> Iterator[Any]:
    decoder = json.JSONDecoder()
    text = _skip_space(file, '')
    if not text.startswith('['):
        raise ValueError(f'{path} must hold a JSON list of records, but starts with {text[:20]!r}')
    text = _skip_space(file, text[1:])
    count = 0
    while not text.startswith(']'):
        if count:
            if not text.startswith(','):
                raise ValueError(f'{path}: expected a comma or the end of the list after entry {count - 1}')
            text = _skip_space(file, text[1:])
        entry, text = _decode(decoder, file, text, f'{path}, entry {count}')
        yield entry
        count += 1
        text = _skip_space(file, text)
    if _skip_space(file, text[1:]):
        raise ValueError(f'{path}: there is more text after the end of the list')


def _decode(decoder: json.JSONDecoder, file: TextIO, text: str, where: str) -> tuple[Any, str]:
    size = _CHUNK
    while True:
        try:
            entry, end = decoder.raw_decode(text)
            # A number at the end of the buffer may go on in the next chunk.
            if end < len(text):
                return entry, text[end:]
        except (json.JSONDecodeError, RecursionError) as error:
            problem: Exception = error
        else:
            problem = ValueError('the file ends here')
        # Doubling keeps the repeated attempts on a large entry linear in its size.
        more = file.read(size)
        if not more:
            raise ValueError(f'{where} is no JSON: {problem}') from problem
        text += more
        size *= 2


def _skip_space(file: TextIO, text: str) -> str:
    text = text.lstrip(_SPACE)
    while not text:
        chunk = file.read(_CHUNK)
        if not chunk:
            return ''
        text = chunk.lstrip(_SPACE)
    return text
