"""Finding secrets in what a captioner answers."""

from collections.abc import Iterable

_FEWEST_SECRET_LETTERS = 8


def holds_secret(text: str, secrets: Iterable[str]) -> bool:
    """Whether a text repeats a secret, whatever the case of its letters and what stands between them.

    Secrets of fewer than eight letters and digits are placeholders, as servers without keys want them.
    """
    letters = _letters(text)
    return any(len(secret) >= _FEWEST_SECRET_LETTERS and secret in letters for secret in map(_letters, secrets))


def _letters(text: str) -> str:
    return ''.join(filter(str.isalnum, text)).casefold()
