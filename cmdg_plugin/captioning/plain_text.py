"""Text without what cannot be seen: escape codes, control, bidi and zero-width characters, surrogates."""

import re
import unicodedata

_ESCAPE_CODE = re.compile(
    r'[\x1b\x9b\u241b](?:\][^\x07\x1b\n]{0,200}(?:\x07|\x1b\\)|\[?[0-?]*[ -/]*[@-~])?'
    # What is left where the escape character itself was lost on the way.
    r'|\[(?:\d{1,3}(?:;\d{1,3}){0,5}[A-HJKSTfm]|\?\d{1,4}[hl])'
)
_KEPT = '\n\t\r'
_HIDDEN = frozenset('\u115f\u1160\u2800\u3164\uffa0')
"""Letters and symbols in name, which every font draws as nothing."""


def drop_escape_codes(text: str) -> str:
    r"""Remove what colors a terminal and moves its cursor, also without the escape character, as in `[31m`."""
    return _ESCAPE_CODE.sub('', text)


def drop_invisible(text: str) -> str:
    """Remove what cannot be seen, and marks that no letter took in; line ends and tabs stay.

    These are Unicode's control, format, surrogate, private and unassigned characters, and marks on their own.
    """
    if text.isascii() and text.isprintable():
        return text
    composed = unicodedata.normalize('NFC', text)
    return ''.join(char for char in composed if char in _KEPT or _is_seen(char))


def one_line(message: str, most: int = 300) -> str:
    """A message from elsewhere, fit for a log and a journal.

    Args:
        message: Any text.
        most: Longer ones are cut to this many characters.
    """
    text = ' '.join(drop_invisible(drop_escape_codes(message[: 10 * most])).split())
    return text if len(text) <= most else f'{text[:most]}...'


def is_text(value: object) -> bool:
    """Whether a value is a string that is not empty and that files can hold, without surrogates."""
    return isinstance(value, str) and bool(value) and value.encode(errors='replace').decode() == value


def is_plain(text: str) -> bool:
    """Whether a text is one printable line that is not empty, without space at its ends."""
    return bool(text) and text.isprintable() and text == text.strip()


def _is_seen(char: str) -> bool:
    category = unicodedata.category(char)
    return category[0] != 'C' and category not in ('Mn', 'Me') and char not in _HIDDEN
