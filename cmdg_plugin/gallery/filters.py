"""Conditions on entries, such as `camera == 3 and time >= "2026-05-01T08:00"`: read by Python's parser, never run."""

import ast
import difflib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from cmdg_plugin.datasets.caption_fields import is_writable, show
from cmdg_plugin.gallery.columns import TYPE_NAMES, Value, read_time

_LONGEST = 100_000
_DEEPEST = 50
# Databases take no more.
_MOST_COMPARISONS = 500
_MOST_VALUES = 10_000
_LARGEST = 2**63 - 1
_SYMBOLS: Mapping[type[ast.cmpop], str] = {
    ast.Eq: '==',
    ast.NotEq: '!=',
    ast.Lt: '<',
    ast.LtE: '<=',
    ast.Gt: '>',
    ast.GtE: '>=',
}
_OPPOSITE = {'==': '!=', '!=': '==', '<': '>=', '>=': '<', '>': '<=', '<=': '>'}
_MIRRORED = {'==': '==', '!=': '!=', '<': '>', '>': '<', '<=': '>=', '>=': '<='}
_EXPECTED = 'expected comparisons such as camera == 3 and time >= "2026-05-01T08:00" and identity in ("3", "7")'


@dataclass(frozen=True)
class Comparison:
    """`column operator value`; the operator is one of ==, !=, <, <=, >, >=."""

    column: str
    operator: str
    value: Value


@dataclass(frozen=True)
class Membership:
    """`column in values`, or not in."""

    column: str
    values: tuple[Value, ...]
    negated: bool


@dataclass(frozen=True)
class Presence:
    """Whether an entry has a value in a column (`column is not None`), or has none."""

    column: str
    present: bool


@dataclass(frozen=True)
class Junction:
    """All of several conditions, or any of them."""

    parts: 'tuple[Filter, ...]'
    every: bool


Filter: TypeAlias = Comparison | Membership | Presence | Junction
"""A checked condition. An entry without a value in a column fulfills no comparison with it, not even !=."""


def parse_filter(text: str, columns: Mapping[str, type]) -> Filter:
    """Read a condition.

    Args:
        text: Comparisons of columns with values by ==, !=, <, <=, >, >=, `in`, `not in`, `is None`, `is not None`,
            joined by `and`, `or`, `not` and brackets, as in Python.
        columns: Known columns and their types.

    Returns:
        The condition as a tree, without `not`.

    Raises:
        ValueError: If it is anything else, or names a column that is not known (lists the known ones), or compares
            one with a value of another type.
    """
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f'A filter is a condition, {_EXPECTED}; got {show(text)}.')
    if len(text) > _LONGEST or not is_writable(text):
        raise ValueError(f'A filter is a condition of at most {_LONGEST:,} characters; got {show(text)}.')
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # what Python thinks of its style
            tree = ast.parse(text.strip(), mode='eval').body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else str(error)
        raise ValueError(f'The filter {show(text)} cannot be read ({reason}): {_EXPECTED}.') from error
    parts = list(ast.walk(tree))
    if sum(isinstance(part, ast.cmpop) for part in parts) > _MOST_COMPARISONS:
        raise ValueError(f'A filter has at most {_MOST_COMPARISONS:,} comparisons; list values by `in`.')
    if sum(isinstance(part, ast.Constant) for part in parts) > _MOST_VALUES:
        raise ValueError(f'A filter holds at most {_MOST_VALUES:,} values.')
    try:
        return _Reader(columns).read(tree, negated=False, depth=0)
    except ValueError as error:
        raise ValueError(f'The filter {show(text)} cannot be used: {error}.') from error
    except RecursionError as error:  # by what a message shows of a value
        raise ValueError(f'The filter {show(text)} cannot be used: it is nested too deep.') from error


class _Reader:
    def __init__(self, columns: Mapping[str, type]) -> None:
        self.columns = columns

    def read(self, node: ast.expr, negated: bool, depth: int) -> Filter:
        if depth > _DEEPEST:
            raise ValueError('it is nested too deep')
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return self.read(node.operand, not negated, depth + 1)
        if isinstance(node, ast.BoolOp):
            parts = tuple(self.read(part, negated, depth + 1) for part in node.values)
            return Junction(parts, every=isinstance(node.op, ast.And) != negated)
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            parts = tuple(
                self._compare(left, operator, right, negated)
                for left, operator, right in zip(sides, node.ops, sides[1:], strict=False)
            )
            return parts[0] if len(parts) == 1 else Junction(parts, every=not negated)
        raise ValueError(f'{show(ast.unparse(node))} is not a condition; {_EXPECTED}')

    def _compare(self, left: ast.expr, operator: ast.cmpop, right: ast.expr, negated: bool) -> Filter:
        if isinstance(left, ast.Name) and isinstance(operator, (ast.Is, ast.IsNot)):
            if not isinstance(right, ast.Constant) or right.value is not None:
                raise ValueError('`is` asks only whether a value is there: is None, is not None')
            return Presence(self._column(left), present=isinstance(operator, ast.IsNot) != negated)
        if isinstance(left, ast.Name) and isinstance(operator, (ast.In, ast.NotIn)):
            if not isinstance(right, (ast.Tuple, ast.List, ast.Set)):
                raise ValueError(f'`in` takes values in brackets such as ("3", "7"), got {show(ast.unparse(right))}')
            column = self._column(left)
            values = tuple(self._value(column, value) for value in right.elts)
            return Membership(column, values, negated=isinstance(operator, ast.NotIn) != negated)
        symbol = _SYMBOLS.get(type(operator))
        if symbol is None or isinstance(left, ast.Name) == isinstance(right, ast.Name):
            raise ValueError(f'a comparison has a column on one side and a value on the other; {_EXPECTED}')
        if isinstance(right, ast.Name):
            left, right, symbol = right, left, _MIRRORED[symbol]
        column = self._column(left)
        return Comparison(column, _OPPOSITE[symbol] if negated else symbol, self._value(column, right))

    def _column(self, node: ast.expr) -> str:
        name = node.id if isinstance(node, ast.Name) else ast.unparse(node)
        if name not in self.columns:
            near = difflib.get_close_matches(name, self.columns, 1)
            meant = f' (did you mean {near[0]}?)' if near else ''
            raise ValueError(f'there is no column {show(name)}{meant}; this gallery has {", ".join(self.columns)}')
        return name

    def _value(self, column: str, node: ast.expr) -> Value:
        try:
            value = ast.literal_eval(node)
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError) as error:
            raise ValueError(f'{column} is compared with {show(ast.unparse(node))}, which is not a value') from error
        if column == 'time':
            return read_time(value)
        kind = self.columns[column]
        fits = isinstance(value, str) if kind is str else isinstance(value, int | float) and not isinstance(value, bool)
        if not fits:
            advice = f'; write "{value}" in quotes' if kind is str and isinstance(value, int | float) else ''
            raise ValueError(f'{column} holds {TYPE_NAMES[kind]}, but is compared with {show(value)}{advice}')
        if isinstance(value, int | float) and not abs(value) <= _LARGEST:  # nor is what is not a number
            raise ValueError(f'{column} is compared with {show(value)}, which does not fit into 64 bits')
        if isinstance(value, str) and not is_writable(value):
            raise ValueError(f'{column} is compared with {show(value)}, which holds half a character')
        return value
