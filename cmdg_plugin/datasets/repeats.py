"""Images that a list names more than once: the same each time, or refused."""

from cmdg_plugin.datasets.caption_fields import CaptionRecord, show

_FIELDS = ('identity', 'camera', 'split', 'captions')


class Repeats:
    """Remembers what a list said about each image.

    Args:
        field: What a field is called in the list: `key` or `column`.

    Attributes:
        count: How many rows said again what an earlier one did.
    """

    def __init__(self, field: str = 'key') -> None:
        self.field = field
        self.count = 0
        self._seen: dict[tuple[int | None, str], CaptionRecord] = {}

    def first(self, record: CaptionRecord) -> CaptionRecord:
        """Note a record; return the first about its image in its split, which may be itself.

        Raises:
            ValueError: If that one said something else; names both rows and the field.
        """
        known = self._seen.setdefault((record.split_index, record.file_path), record)
        if known is record:
            return record
        for field in _FIELDS:
            old, new = getattr(known, field), getattr(record, field)
            if old != new:
                label = 'role' if field == 'split' else field
                raise ValueError(
                    f'{record.where}, {self.field} {label!r}: {record.file_path} has {_show(new, old)} here and '
                    f'{_show(old, new)} in {known.where}. One of the two is wrong; keep the other.'
                )
        self.count += 1
        return known


def _show(value: object, other: object) -> str:
    """Show a value; of captions, the first that differs from the other ones."""
    if not isinstance(value, tuple):
        return show(value)
    if not isinstance(other, tuple):
        return show(value[0])
    differing = (show(mine) for mine, theirs in zip(value, other, strict=False) if mine != theirs)
    return next(differing, f'{len(value)} sentences')
