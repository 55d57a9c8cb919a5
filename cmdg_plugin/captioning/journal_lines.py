"""What a line of a captioning journal may hold."""

import json
from typing import Any

from cmdg_plugin.captioning.image_state import STATE_KEYS
from cmdg_plugin.captioning.plain_text import is_plain, is_text
from cmdg_plugin.regions import CAPTION_FILE_ORDER

LONGEST_LINE = 1 << 18
"""Bytes; the longest path, caption and failure together take a fifth."""

_LONGEST_CAPTION = 5000
_KNOWN = frozenset({'path', 'region', 'caption', 'failure', 'unreadable', 'problems', 'fixes', *STATE_KEYS})


def parse_object(line: bytes) -> dict[str, Any]:
    """Read a line as one JSON object.

    Raises:
        ValueError: If it is something else, too long, or names a key twice.
    """
    if not line.endswith(b'\n'):
        raise ValueError(f'it is longer than {LONGEST_LINE} bytes')
    try:
        value = json.loads(line, object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError) as error:
        raise ValueError(f'{line[:60]!r} is not JSON that can be read ({str(error)[:100]})') from None
    if not isinstance(value, dict):
        raise ValueError(f'expected an object, got {line[:60]!r}')
    return value


def parse_entry(line: bytes) -> dict[str, Any]:
    """Read a line as what became of one sentence.

    Raises:
        ValueError: If a key is missing, unknown, or holds what this tool never writes there.
    """
    entry = parse_object(line)
    if unknown := sorted(entry.keys() - _KNOWN):
        raise ValueError(f'unknown key {unknown[0][:60]!r}')
    if not is_text(entry.get('path')):
        raise ValueError(f'expected the path of an image, got {_shown(entry, "path")}')
    if entry.get('region') not in CAPTION_FILE_ORDER:
        raise ValueError(f'expected a region ({", ".join(CAPTION_FILE_ORDER)}), got {_shown(entry, "region")}')
    if ('caption' in entry) == ('failure' in entry):
        raise ValueError('expected either a caption or a failure')
    if 'failure' in entry and not is_text(entry['failure']):
        raise ValueError(f'expected text as failure, got {_shown(entry, "failure")}')
    if 'caption' in entry and not _is_caption(entry['caption']):
        raise ValueError(f'expected one line of plain text as caption, got {_shown(entry, "caption")}')
    for key in ('problems', 'fixes'):
        names = entry.get(key, [])
        if not (isinstance(names, list) and all(isinstance(name, str) and name.isidentifier() for name in names)):
            raise ValueError(f'expected a list of names as {key}, got {_shown(entry, key)}')
    for key in STATE_KEYS:
        if type(entry.get(key, 0)) is not int:
            raise ValueError(f'expected a whole number as {key}, got {_shown(entry, key)}')
    if not isinstance(entry.get('unreadable', True), bool):
        raise ValueError(f'expected true or false as unreadable, got {_shown(entry, "unreadable")}')
    return entry


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f'it names the key {next(key for key in keys if keys.count(key) > 1)[:60]!r} twice')
    return result


def _is_caption(value: object) -> bool:
    return isinstance(value, str) and is_plain(value) and len(value) <= _LONGEST_CAPTION


def _shown(entry: dict[str, Any], key: str) -> str:
    value = entry.get(key)
    if isinstance(value, str):
        return ascii(value)[:60]
    return f'a {type(value).__name__}' if key in entry else 'nothing'
