"""Conditions as SQL."""

from cmdg_plugin.gallery.columns import KNOWN_COLUMNS, Value
from cmdg_plugin.gallery.filters import Comparison, Filter, Membership, Presence


def to_sql(where: Filter | None) -> tuple[str, list[Value]]:
    """Write a condition as SQL.

    Args:
        where: The condition; None is fulfilled by every entry.

    Returns:
        An expression over the columns of `entries`, further ones with the prefix `x_`, and the values of its marks.
    """
    if where is None:
        return '1', []
    if isinstance(where, Comparison):
        return f'{_name(where.column)} {where.operator} ?', [where.value]
    if isinstance(where, Presence):
        return f'{_name(where.column)} IS {"NOT " if where.present else ""}NULL', []
    if isinstance(where, Membership):
        # An empty list is fulfilled by nobody, its negation by everybody with a value.
        marks = ', '.join('?' * len(where.values))
        negation = 'NOT ' if where.negated else ''
        name = _name(where.column)
        return f'({name} IS NOT NULL AND {name} {negation}IN ({marks}))', list(where.values)
    parts = [to_sql(part) for part in where.parts]
    joined = (' AND ' if where.every else ' OR ').join(text for text, _ in parts)
    return f'({joined})', [value for _, values in parts for value in values]


def _name(column: str) -> str:
    return column if column in KNOWN_COLUMNS else f'"x_{column}"'
