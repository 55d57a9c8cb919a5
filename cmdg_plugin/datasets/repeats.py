"""Images that a list names more than once: the same each time, or refused."""

from collections.abc import Hashable

from cmdg_plugin.datasets.caption_fields import show

_FIELDS = ('identity', 'camera', 'role', 'captions')
Said = tuple[int | None, int | None, str | None, tuple[str, ...] | None]
"""What a row says about its image: identity, camera, role, captions."""


class Repeats:
    """Remembers what a list said about each image.

    Args:
        field: What a field is called in the list: `key` or `column`.

    Attributes:
        count: How many rows said again what one before them did.
    """

    def __init__(self, field: str = 'key') -> None:
        self.field = field
        self.count = 0
        self._seen: dict[Hashable, tuple[str, Said]] = {}

    def is_new(self, image: Hashable, name: str, said: Said, where: str) -> bool:
        """Note a row; tell whether it is the first about its image.

        Args:
            image: What tells the image from all others.
            name: What it is called in this row.
            said: What the row says about it.
            where: The row, as errors show it.

        Raises:
            ValueError: If a row before it said something else; names both rows and the field.
        """
        entry = (where, said)
        known = self._seen.setdefault(image, entry)
        if known is entry:
            return True
        first, before = known
        for field, old, new in zip(_FIELDS, before, said, strict=True):
            if old != new:
                raise ValueError(
                    f'{where}, {self.field} {field!r}: {name} has {_show(new, old)} here and {_show(old, new)} in '
                    f'{first}. One of the two is wrong; keep the other'
                )
        self.count += 1
        return False


def _show(value: object, other: object) -> str:
    """Show a value; of captions, the first that differs from the other ones."""
    if not isinstance(value, tuple):
        return show(value)
    others = other if isinstance(other, tuple) else (None,) * len(value)
    return show(next(mine for mine, theirs in zip(value, others, strict=True) if mine != theirs))
