"""What the text of a command-line option means, which the value that it replaces decides."""

import ast
import re
from collections.abc import Mapping, Sequence
from typing import Any

from cmdg_plugin.cli.option_names import Place

_NUMBER = re.compile(r'[+-]?(0|[1-9]\d*|(\d+\.\d*|\.\d+|\d+(?=e))(e[+-]?\d+)?|inf|nan)', re.IGNORECASE)
_WORDS = {'true': True, 'false': False, 'none': None}
_TEXTS = ('experiment_name', 'load_from', 'work_dir')
_OTHER_KINDS = ('int', 'float', 'bool', 'dict', 'list', 'Sequence')
_BRACKETS = {'[': ']', '(': ')'}


class OptionText(str):
    """A value as it was typed on a command line, not yet read."""


def read_value(option: str, text: str, place: Place) -> Any:
    """Read an option's text as a value of the kind that stands in its place.

    Where a string stands the text is the string, character by character. Elsewhere numbers, `true`, `false`, `None`,
    lists as `[a,b]` or `a,b` and tuples as `(a,b)` are read, and everything else is a string.

    Args:
        option: The dotted key, for messages; one that ends in a colon (`key:=value`) has a Python literal as its value,
            whatever stands there.
        text: What was typed after the first `=`.
        place: Where it belongs, with what stands there.

    Raises:
        ValueError: If a number, true or false, or settings stand there and the text is something else.
    """
    if option.endswith(':'):
        return _read_literal(option, text)
    before = place.holds
    if isinstance(before, str) or (before is None and text != 'None' and _is_text(place)):
        return str(text)
    value = _guess(text, words=isinstance(before, (list, tuple)) and any(isinstance(item, str) for item in before))
    if not _fits(value, before):
        shown = f'a dict of {", ".join(map(str, before))}' if isinstance(before, Mapping) else repr(before)
        raise ValueError(
            f'Option {option}: expected {_kind(before)} (it is {shown}), got {str(text)!r}. '
            f'To change its kind, give a Python literal: {option}:=VALUE.'
        )
    if before is None and isinstance(value, list) and not text.startswith(tuple(_BRACKETS)):
        # A path may hold commas; where nothing says that a list is wanted, only numbers make one.
        return value if all(isinstance(item, (int, float)) for item in value) else str(text)
    return value


def _is_text(place: Place) -> bool:
    """Whether a string belongs in a place where nothing stands yet."""
    if len(place.path) == 1:
        return place.path[0] in _TEXTS
    # In words, as a module may keep its annotations as such: `str | None`, `Union[str, os.PathLike, None]`.
    words = set(re.findall(r'\w+', str(getattr(place.annotation, '__name__', None) or place.annotation)))
    return bool(words & {'str', 'Path', 'PathLike'}) and words.isdisjoint(_OTHER_KINDS)


def _read_literal(option: str, text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError) as error:
        raise ValueError(
            f"Option {option}= takes a Python literal such as 3, None, 'text' or [1, 2], got {str(text)!r}."
        ) from error


def _fits(value: Any, before: Any) -> bool:
    if value is None or before is None or isinstance(before, (list, tuple)):
        return True
    if isinstance(before, bool):
        return isinstance(value, (bool, dict)) or value in (0, 1)
    if isinstance(before, (int, float)):
        return isinstance(value, (int, float))
    return not isinstance(before, Mapping) or isinstance(value, (bool, Mapping))


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return 'true or false'
    return 'a number' if isinstance(value, (int, float)) else 'the name of one of its settings'


def _guess(text: str, words: bool) -> Any:
    """Read a text that may be anything; with `words`, the elements of a list stay text."""
    if text.startswith('{'):
        try:
            return ast.literal_eval(text)
        except (SyntaxError, ValueError):
            return str(text)
    bracketed = len(text) > 1 and _BRACKETS.get(text[0]) == text[-1]
    parts = _split(text[1:-1] if bracketed else text)
    if parts is None or (not bracketed and len(parts) == 1):
        return _guess_scalar(text)
    values = [_guess_element(part.strip(), words) for part in parts]
    return tuple(values) if bracketed and text[0] == '(' else values


def _guess_element(text: str, words: bool) -> Any:
    if len(text) > 1 and text[0] == text[-1] and text[0] in '\'"':
        return text[1:-1]
    if text.startswith(tuple(_BRACKETS)):
        return _guess(text, words)
    return text if words else _guess_scalar(text)


def _guess_scalar(text: str) -> Any:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if not _NUMBER.fullmatch(text):
        return str(text)
    try:
        return int(text)
    except ValueError:
        return float(text)


def _split(text: str) -> Sequence[str] | None:
    """Split at commas outside of brackets and quotes; None if those do not close."""
    parts, depth, quote = [''], 0, ''
    for character in text:
        if quote:
            quote = '' if character == quote else quote
        elif character in '\'"' and not parts[-1].strip():
            quote = character
        elif character in '[(':
            depth += 1
        elif character in '])':
            depth -= 1
        if character == ',' and not depth and not quote:
            parts.append('')
        else:
            parts[-1] += character
    if depth or quote:
        return None
    if not parts[-1].strip():
        parts.pop()
    return parts
