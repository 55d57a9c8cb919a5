"""Rows of a CSV file with a header line, read strictly: what is ambiguous is an error that names the line."""

import csv
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from itertools import accumulate
from pathlib import Path

from cmdg_plugin.datasets.caption_fields import show
from cmdg_plugin.files.images import IMAGE_SUFFIXES

_CELL = r'("(?:[^"]|"")*"|(?:[^"{0}\r\n][^{0}\r\n]*)?)({0}|\r?\n|\r|$)'
_DELIMITERS = {',': 'commas', ';': 'semicolons', '\t': 'tabs'}


def iterate_csv(path: Path, path_columns: Collection[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the line on which each row ends, and its cells by column; an empty cell is absent.

    Cells are separated by commas, semicolons or tabs, as the header line shows. Names of columns are taken in lower
    case and without spaces around them; what stands below no name comes under ''.

    Args:
        path: The file, in UTF-8.
        path_columns: Columns of which one must be there: it holds the images' paths.

    Raises:
        ValueError: If no column is called so, two have one name, a quote is not closed, or a row has more or fewer
            cells than the header; raised when the reader gets there, names file and line.
    """
    with path.open(encoding='utf-8-sig', newline='') as file:
        columns, delimiter = _read_header(path, file.readline(), path_columns)
        place = next(number for number, column in enumerate(columns) if column in path_columns)
        rows = _Rows(path, file, columns, delimiter)
        for cells in rows:
            _check_swallowed(path, rows, cells, delimiter, place)
            while len(cells) > len(columns) and not cells[-1].strip():
                cells.pop()  # spreadsheets go on writing what was a column once
            if len(cells) != len(columns):
                more = len(cells) > len(columns)
                raise ValueError(
                    f'{path}, line {rows.last} has {"more" if more else "fewer"} cells ({len(cells)}) than the first '
                    f'line has columns ({len(columns)}); {"quote commas in sentences." if more else "is it cut off?"}'
                )
            yield rows.last, {column: cell for column, cell in zip(columns, cells, strict=True) if cell.strip()}


def _read_header(path: Path, line: str, path_columns: Collection[str]) -> tuple[list[str], str]:
    """Return names of columns and the delimiter, the one with which a column of paths is found."""
    if not line.strip():
        raise ValueError(f'{path}: its first line is empty, but must name the columns (path, identity, camera, role).')
    found = {}
    for delimiter in _DELIMITERS:
        try:
            cells = next(csv.reader([line], delimiter=delimiter, strict=True), [])
        except csv.Error:
            continue
        columns = [cell.strip().lower() for cell in cells]
        if any(column in path_columns for column in columns):
            found[delimiter] = columns
    if not found:
        raise ValueError(
            f'{path} has no column {" or ".join(path_columns)}; its first line must name the columns (path, identity, '
            f'camera, role), separated by {", ".join(_DELIMITERS.values())}, but is {show(line.strip())}.'
        )
    # A semicolon within the only column's name does not separate anything: most columns win.
    delimiter = max(found, key=lambda candidate: len(found[candidate]))
    columns = found[delimiter]
    repeated = [column for column, count in Counter(columns).items() if column and count > 1]
    if repeated:
        raise ValueError(f'{path}, line 1: two columns are called {show(repeated[0])}; keep one of them.')
    return columns, delimiter


class _Rows:
    """Rows of a file after its header; knows which lines the last one came from."""

    def __init__(self, path: Path, file: Iterable[str], columns: list[str], delimiter: str) -> None:
        self.path = path
        self.columns = columns
        self.delimiter = delimiter
        self.last = 1
        self.lines: list[str] = []
        self._reader = csv.reader(self._feed(file), delimiter=delimiter, strict=True)

    @property
    def first(self) -> int:
        """Line on which the last row begins."""
        return self.last - len(self.lines) + 1

    def _feed(self, file: Iterable[str]) -> Iterator[str]:
        for line in file:
            self.last += 1
            self.lines.append(line)
            yield line

    def __iter__(self) -> Iterator[list[str]]:
        while True:
            self.lines.clear()
            try:
                cells = next(self._reader, None)
            except csv.Error as error:
                raise self._explain(error) from error
            if cells is None:
                return
            # Spreadsheets write empty rows at the end.
            if any(cell.strip() for cell in cells):
                yield cells

    def _explain(self, error: csv.Error) -> ValueError:
        """Find the cell at which reading stopped."""
        text, position, column = ''.join(self.lines), 0, 0
        cell = re.compile(_CELL.format(re.escape(self.delimiter)))
        while (match := cell.match(text, position)) and len(match[1]) <= csv.field_size_limit() and match[2]:
            position, column = match.end(), column + 1
        line = self.first + sum(end <= position for end in accumulate(map(len, self.lines)))
        where = f'{self.path}, line {line}'
        if column < len(self.columns):
            where = f'{where}, column {self.columns[column]!r}'
        if match is None and text.startswith('"', position):
            return ValueError(
                f'{where}: the quote that opens here is not closed where a cell ends, up to line {self.last}; a quote '
                f'within a cell is written twice ("").'
            )
        return ValueError(f'{where}: the cell cannot be read ({error}).')


def _check_swallowed(path: Path, rows: _Rows, cells: list[str], delimiter: str, place: int) -> None:
    """Refuse a cell that holds what looks like rows: two stray quotes make one cell of all that lies between them."""
    if len(rows.lines) < 2:
        return
    for column, cell in zip(rows.columns, cells, strict=False):
        for line in cell.splitlines()[1:]:
            parts = line.split(delimiter)
            if len(parts) > max(place, 1) and parts[place].strip().lower().endswith(tuple(IMAGE_SUFFIXES)):
                raise ValueError(
                    f'{path}, line {rows.first}, column {column!r}: the quote that opens here holds '
                    f'what looks like another row: {show(line)}; a quote within a cell is written twice ("").'
                )
