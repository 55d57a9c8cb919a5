"""Columns of a gallery: what is known of an image beside its vector."""

import keyword
import math
import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from typing import TypeAlias

from cmdg_plugin.datasets.caption_fields import is_writable, show

Value: TypeAlias = str | int | float

KNOWN_COLUMNS: Mapping[str, type] = {'path': str, 'identity': str, 'camera': int, 'time': str, 'caption': str}
"""Columns of every gallery and their types."""

TYPE_NAMES: Mapping[type, str] = {str: 'text', int: 'whole numbers', float: 'numbers'}

KINDS: Mapping[str, type] = {'text': str, 'int': int, 'float': float}
"""Types of columns by the names under which engines store them."""

KIND_NAMES: Mapping[type, str] = {kind: name for name, kind in KINDS.items()}

_NAME = re.compile(r'[a-z]\w*', re.ASCII)
_WHOLE = re.compile(r'[+-]?(0|[1-9]\d{0,18})', re.ASCII)
_FRACTION = re.compile(r'[+-]?((0|[1-9]\d*)(\.\d*)?|\.\d+)([eE][+-]?\d+)?', re.ASCII)
_LARGEST = 2**63 - 1
_MOST_COLUMNS = 200


def column_name(name: str) -> str:
    """Bring the name of an index's column into the form that filters can hold: lower case, words joined by `_`.

    Raises:
        ValueError: If nothing of that form is left.
    """
    cleaned = re.sub(r'\W+', '_', name.strip().lower()).strip('_')
    if not _NAME.fullmatch(cleaned) or keyword.iskeyword(cleaned):
        raise ValueError(
            f'a column called {show(name)} cannot be named in filters; use letters, digits and _, and no word of Python'
        )
    return cleaned


def read_kinds(stored: Iterable[tuple[object, object]]) -> dict[str, type]:
    """Read what an engine stores of a gallery's further columns.

    Args:
        stored: Their names, and their types as keys of `KINDS`.

    Raises:
        ValueError: If a column is not one that this program stores. Names go into commands to engines and into pages.
    """
    kinds = {}
    for name, kind in stored:
        if not isinstance(name, str) or not _NAME.fullmatch(name) or str(kind) not in KINDS:
            raise ValueError(f'The gallery is damaged: it has a column {show(name)} of the type {show(kind)}.')
        kinds[name] = KINDS[str(kind)]
    return kinds


def field_name(column: str) -> str:
    """What engines call a column: further ones have a prefix, so that none is called as one of theirs."""
    return column if column in KNOWN_COLUMNS else f'x_{column}'


def read_time(value: object) -> str:
    """Read a time in ISO 8601, as `2026-05-01T08:00`.

    Args:
        value: The text. A time with a zone is brought to UTC; one without is taken as it is.

    Returns:
        The time to the second or finer, without zone, so that times sort as texts do.

    Raises:
        ValueError: If it is not a time.
    """
    if isinstance(value, str):
        text = value.strip()
        try:
            moment = datetime.fromisoformat(f'{text[:-1]}+00:00' if text[-1:] in ('Z', 'z') else text)
            if moment.tzinfo is not None:
                moment = moment.astimezone(timezone.utc).replace(tzinfo=None)
            return moment.isoformat()
        except (ValueError, OverflowError):  # such as the year 1 in a zone that is ahead of UTC
            pass
    raise ValueError(f'expected a time in ISO 8601 such as 2026-05-01T08:00, got {show(value)}')


def kind_of(value: object) -> type:
    """Type of what a cell holds; text of a CSV file that spells a number is that number.

    Raises:
        ValueError: If it is neither text nor a number, or a number that is not finite or does not fit into 64 bits.
    """
    if isinstance(value, str):
        if not is_writable(value):
            raise ValueError(f'{show(value)} holds half a character (a lone surrogate)')
        text = value.strip()
        # What a leading zero makes a name is text.
        if _WHOLE.fullmatch(text) and abs(int(text)) <= _LARGEST:
            return int
        return float if _FRACTION.fullmatch(text) and math.isfinite(float(text)) else str
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f'expected text or a number, got {show(value)}')
    # In this order, as a whole number may be too large to be asked whether it is finite.
    if abs(value) > _LARGEST if isinstance(value, int) else not math.isfinite(value):
        raise ValueError(f'{show(value)} is not a number of 64 bits')
    return type(value)


def common_kind(one: type, other: type) -> type:
    """The type that holds values of both types."""
    return one if one is other else str if str in (one, other) else float


def merge_kinds(stored: Mapping[str, type], found: Mapping[str, type]) -> dict[str, type]:
    """Types of a gallery's further columns once an index with some of them is added.

    Args:
        stored: Types of the gallery.
        found: Types of the index.

    Raises:
        ValueError: If the index has text where the gallery has numbers, or there are too many columns.
    """
    merged = dict(stored)
    for name, kind in found.items():
        there = merged.get(name, kind)
        if kind is str and there is not str:
            raise ValueError(
                f'The column {name} holds {TYPE_NAMES[there]} in this gallery, but text in what is added: call it '
                'otherwise, or mend the values that are not numbers.'
            )
        merged[name] = common_kind(there, kind)
    if len(merged) > _MOST_COLUMNS:
        raise ValueError(
            f'A gallery has at most {_MOST_COLUMNS} further columns; with these it would have {len(merged)}.'
        )
    return merged


def convert(value: Value, kind: type) -> Value:
    """Bring a value to its column's type, see `merge_kinds`."""
    if kind is str:
        return str(value)
    return int(value) if kind is int else float(value)
