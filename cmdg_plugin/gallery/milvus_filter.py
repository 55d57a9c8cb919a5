"""Conditions in Milvus's language."""

import json

from cmdg_plugin.gallery.columns import KNOWN_COLUMNS, Value
from cmdg_plugin.gallery.filters import Comparison, Filter, Junction, Presence

ALWAYS_THERE = 'path'


def to_milvus(where: Filter) -> str:
    """Write a condition as an expression over fields, further columns with the prefix `x_`.

    All but the path are dynamic fields: an entry without one fulfills `!=` and `not in` there, and must not here.
    """
    if isinstance(where, Junction):
        return (' and ' if where.every else ' or ').join(f'({to_milvus(part)})' for part in where.parts)
    name = field_name(where.column)
    there = f'(exists {name})' if where.column != ALWAYS_THERE else '(path != "")'
    if isinstance(where, Presence):
        return there if where.present else f'not {there}'
    if isinstance(where, Comparison):
        return f'{there} and ({name} {where.operator} {literal(where.value)})'
    values = ', '.join(literal(value) for value in where.values)
    return f'{there} and ({name} {"not in" if where.negated else "in"} [{values}])'


def field_name(column: str) -> str:
    """Name of the field that holds a column."""
    return column if column in KNOWN_COLUMNS else f'x_{column}'


def literal(value: Value) -> str:
    """Write a value; what could end a text is escaped."""
    return json.dumps(value)
