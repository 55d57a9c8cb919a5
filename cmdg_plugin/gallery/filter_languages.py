"""Conditions in the languages of the engines."""

import json
from collections.abc import Sequence

from cmdg_plugin.gallery.columns import Value, field_name
from cmdg_plugin.gallery.filters import Comparison, Filter, Junction, Membership, Presence


def to_sql(where: Filter | None) -> tuple[str, list[Value]]:
    """Write a condition as SQL.

    Args:
        where: The condition; None is fulfilled by every entry.

    Returns:
        An expression over the columns of `entries`, and the values of its marks.
    """
    if where is None:
        return '1', []
    if isinstance(where, Junction):
        parts = [to_sql(part) for part in where.parts]
        joined = (' AND ' if where.every else ' OR ').join(text for text, _ in parts)
        return f'({joined})', [value for _, values in parts for value in values]
    name = field_name(where.column)
    if isinstance(where, Comparison):
        return f'{name} {where.operator} ?', [where.value]
    if isinstance(where, Presence):
        return f'{name} IS {"NOT " if where.present else ""}NULL', []
    # An empty list is fulfilled by nobody, its negation by everybody with a value.
    marks = ', '.join('?' * len(where.values))
    return f'({name} IS NOT NULL AND {name} {"NOT " if where.negated else ""}IN ({marks}))', list(where.values)


def to_milvus(where: Filter) -> str:
    """Write a condition in Milvus's language.

    All but the path are dynamic fields: an entry without one fulfills `!=` and `not in` there, and must not here.
    """
    if isinstance(where, Junction):
        if len(where.parts) == 1:
            return to_milvus(where.parts[0])
        # By halves, as the server takes no deep nesting, and nests what stands in a row.
        middle = len(where.parts) // 2
        halves = (Junction(where.parts[:middle], where.every), Junction(where.parts[middle:], where.every))
        return (' and ' if where.every else ' or ').join(f'({to_milvus(half)})' for half in halves)
    name = field_name(where.column)
    there = '(path != "")' if name == 'path' else f'(exists {name})'
    if isinstance(where, Presence):
        return there if where.present else f'not {there}'
    if isinstance(where, Membership):
        # The server takes no list of whole numbers and others.
        wholes = [value for value in where.values if not isinstance(value, float)]
        others = [value for value in where.values if isinstance(value, float)]
        lists = [_milvus_value(values) for values in (wholes, others) if values] or ['[]']
        if where.negated:
            return f'{there} and ({" and ".join(f"{name} not in {values}" for values in lists)})'
        return f'{there} and ({" or ".join(f"{name} in {values}" for values in lists)})'
    return f'{there} and ({name} {where.operator} {_milvus_value(where.value)})'


def _milvus_value(value: Value | Sequence[Value]) -> str:
    # As they are: the server cannot read what JSON escapes by two halves.
    return json.dumps(value, ensure_ascii=False)
