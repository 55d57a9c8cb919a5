"""JSON as files hold it: decoded whole or entry by entry, with a `ValueError` for everything that is wrong with it."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

# Not ijson, which is faster but takes too much: it keeps the last value of a key that stands twice, turns half a
# character into '?', and reads a file that holds an object as an empty list. Its errors name no entry, and its memory
# grows with the square of the nesting (version 3.6: 1 GB for a file of 20 kB; at 100 kB the system ends the process).
_CHUNK = 1 << 16
_SPACE = ' \t\r\n'
_DIGITS = 4000


class RepeatedKey(dict):
    """An object that has a key twice; readers, who know which record it is, refuse it.

    Attributes:
        key: The key.
    """

    key: str


def decode_json(text: str) -> Any:
    """Decode a JSON text; keys are taken in lower case and without spaces around them, as columns of CSV files are.

    An object with a key twice becomes a `RepeatedKey`, an integer of thousands of digits text.

    Raises:
        ValueError: If it is not JSON, or nested deeper than Python goes.
    """
    try:
        return _DECODER.decode(text)
    except RecursionError as error:
        raise ValueError('it is nested too deep') from error


def iterate_json_list(path: Path) -> Iterator[Any]:
    """Yield the entries of a file that holds one JSON list, decoded as by `decode_json`.

    Memory is that of the largest entry, so that an index of a million images needs none of its size.

    Raises:
        ValueError: If the file holds no list, or ends or breaks inside it; raised when the reader gets there.
    """
    with path.open(encoding='utf-8-sig') as file:
        try:
            yield from _entries(file, path)
        except UnicodeDecodeError as error:
            raise ValueError(f'{path} is not a JSON file: {error}.') from error


def _to_record(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    record = {key.strip().lower(): value for key, value in pairs}
    if len(record) == len(pairs):
        return record
    repeated = RepeatedKey(record)
    repeated.key = next(key for key, count in Counter(key.strip().lower() for key, _ in pairs).items() if count > 1)
    return repeated


_DECODER = json.JSONDecoder(
    object_pairs_hook=_to_record, parse_int=lambda text: int(text) if len(text) <= _DIGITS else text
)


def _entries(file: TextIO, path: Path) -> Iterator[Any]:
    text = _skip_space(file, '')
    if not text.startswith('['):
        advice = '; one record a line is a .jsonl file' if text.startswith('{') else ''
        raise ValueError(f'{path} must hold a JSON list of records, but starts with {text[:20]!r}{advice}.')
    text = _skip_space(file, text[1:])
    count = 0
    while not text.startswith(']'):
        if count:
            if not text.startswith(','):
                raise ValueError(f'{path}: expected a comma or the end of the list after entry {count - 1}.')
            text = _skip_space(file, text[1:])
        entry, text = _decode(file, text, f'{path}, entry {count}')
        yield entry
        count += 1
        text = _skip_space(file, text)
    if _skip_space(file, text[1:]):
        raise ValueError(f'{path}: there is more text after the end of the list.')


def _decode(file: TextIO, text: str, where: str) -> tuple[Any, str]:
    size = _CHUNK
    while True:
        try:
            entry, end = _DECODER.raw_decode(text)
            # A number at the end of the buffer may go on in the next chunk.
            if end < len(text):
                return entry, text[end:]
        except RecursionError as error:
            raise ValueError(f'{where} is nested too deep.') from error
        except json.JSONDecodeError as error:
            problem: Exception = error
        else:
            problem = ValueError('the file ends here')
        # Doubling keeps the repeated attempts on a large entry linear in its size.
        more = file.read(size)
        if not more:
            raise ValueError(f'{where} is not JSON: {problem}.') from problem
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
