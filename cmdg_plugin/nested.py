"""Nested dicts and lists, such as configs and checkpoints, by dotted places."""

from collections.abc import Iterator, Mapping
from typing import Any


def walk(node: Any, place: str = '') -> Iterator[tuple[str, Any]]:
    """Go through all that nested dicts and lists hold, each with its dotted place; a dict comes before its entries."""
    yield place, node
    if isinstance(node, Mapping):
        items = list(node.items())
    elif isinstance(node, (list, tuple)):
        items = list(enumerate(node))
    else:
        return
    for name, inner in items:
        yield from walk(inner, f'{place}.{name}'.lstrip('.'))


def flatten(settings: Any) -> dict[str, Any]:
    """Write nested settings as one dict by dotted place; empty dicts and lists are values like any other."""
    return {place: node for place, node in walk(settings) if not isinstance(node, (Mapping, list, tuple)) or not node}


def has_prefix(name: str, prefix: str) -> bool:
    """Whether a dotted name begins with whole words of another."""
    return name == prefix or name.startswith(prefix.rstrip('.') + '.')
