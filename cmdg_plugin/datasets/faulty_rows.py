"""All rows of a list that cannot be taken, in one error."""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

_Row = TypeVar('_Row')
_Read = TypeVar('_Read')


class FaultyRows(ValueError):
    """Rows that cannot be taken. The text is that of the first one, and says how many more there are.

    Args:
        faults: What is wrong with each; at least one.
        paths: Where the images of the other rows lie.

    Attributes:
        faults: As given.
        paths: As given.
    """

    def __init__(self, faults: Sequence[str], paths: Sequence[str] = ()) -> None:
        more = len(faults) - 1
        rows = 'another row is' if more == 1 else f'{more:,} other rows are'
        hint = f'\n({rows} faulty, too; tools/check_data.py --config CONFIG lists them all)' if more else ''
        super().__init__(f'{faults[0]}{hint}')
        self.faults = tuple(faults)
        self.paths = tuple(paths)


def read_all(
    rows: Iterable[_Row], read: Callable[[_Row], _Read], place: Callable[[_Read], str] | None = None
) -> list[_Read]:
    """Read every row of a list, also those after a faulty one.

    Args:
        rows: The rows.
        read: Reads one of them; raises a ValueError that names it.
        place: Says where the image of a row lies.

    Raises:
        FaultyRows: If some cannot be read.
    """
    found, faults = [], []
    for row in rows:
        try:
            found.append(read(row))
        except ValueError as error:
            faults.append(str(error))
    if faults:
        raise FaultyRows(faults, [place(entry) for entry in found] if place is not None else ())
    return found
