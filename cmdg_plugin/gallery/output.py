"""Results of a search as a table, as JSON, as CSV, and as a picture."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from cmdg_plugin.evaluation.ranked_queries import RankedQuery
from cmdg_plugin.files.writing import write_whole
from cmdg_plugin.gallery.columns import kind_of
from cmdg_plugin.gallery.results import SearchResult
from cmdg_plugin.regions import REGIONS
from cmdg_plugin.saying import printable
from cmdg_plugin.visualization import draw_ranked_queries

_KNOWN = ('rank', 'score', 'identity', 'camera', 'time', 'path', 'caption')
_FORMULA_BEGINS = ('=', '+', '-', '@', '\t', '\r')
_WIDEST = 80
_DRAWN = 10
SUFFIXES = ('.json', '.csv')


def format_table(result: SearchResult) -> str:
    """Lay matches out as lines of text; columns that are empty throughout are left out."""
    rows = [
        {**asdict(match), 'score': f'{match.score:.4f}', 'caption': _shorten(match.caption)} for match in result.matches
    ]
    names = [name for name in _KNOWN if any(row[name] is not None for row in rows)]
    cells = [names, *([_shown(row[name]) for name in names] for row in rows)]
    widths = [max(len(row[place]) for row in cells) for place in range(len(names))]
    lines = ['  '.join(map(str.ljust, row, widths)).rstrip() for row in cells] if rows else ['nothing was found']
    verdict = '' if result.verdict is None else f'; verdict: {result.verdict}'
    how = '' if result.exact else ' approximately'
    return '\n'.join([*lines, f'searched {result.searched:,} entries{how}{verdict}'])


def write_result(result: SearchResult, path: Path, query: dict[str, object]) -> None:
    """Write a result to a JSON or CSV file.

    Args:
        result: The result.
        path: The file; its ending says which.
        query: What was searched for; JSON holds it, too.

    Raises:
        ValueError: If it ends otherwise.
    """
    check_suffix(path)
    if path.suffix.lower() == '.json':
        content = {'query': query, **asdict(result)}
        text = json.dumps(content, indent=2, ensure_ascii=False) + '\n'
        # The query's file may have a name that is not UTF-8, which JSON holds as an escape.
        write_whole(path, text.encode(errors='backslashreplace'))
        return
    further = sorted({name for match in result.matches for name in match.columns})
    with io.StringIO(newline='') as table:
        writer = csv.writer(table)
        # A column of theirs may be called as one of ours.
        writer.writerow([*_KNOWN, *(f'column_{name}' if name in _KNOWN else name for name in further)])
        for match in result.matches:
            cells = [getattr(match, name) for name in _KNOWN] + [match.columns.get(name) for name in further]
            writer.writerow(map(_no_formula, cells))
        write_whole(path, table.getvalue())


def _no_formula(cell: object) -> object:
    """Put an apostrophe before text that a spreadsheet would compute; JSON holds it as it is."""
    begins_so = isinstance(cell, str) and cell.startswith(_FORMULA_BEGINS)
    return f"'{cell}" if begins_so and kind_of(cell) is str else cell


def check_suffix(path: Path) -> None:
    """Refuse a file that results cannot be written to.

    Raises:
        ValueError: If it is neither JSON nor CSV.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f'Results are written to a {" or ".join(SUFFIXES)} file, not to {path}.')


def draw_result(result: SearchResult, folder: Path, images: Sequence[str], text: str | None, name: str) -> list[Path]:
    """Draw the query's first picture and the first ten matches as `tools/test.py` draws them.

    Args:
        result: The result.
        folder: Where to write.
        images: Pictures of the query.
        text: Its sentence.
        name: Name of the gallery.

    Returns:
        The files written; none where nothing was found.
    """
    matches = result.matches[:_DRAWN]
    if not matches:
        return []
    captions = None if text is None else tuple(text for _ in REGIONS)
    query = RankedQuery(
        target=name,
        query_path=images[0] if images else '',
        captions=captions,
        gallery_paths=tuple(match.path for match in matches),
        matches=(None,) * len(matches),
        distances=tuple((2 * max(0.0, 1 - match.score)) ** 0.5 for match in matches),
        unit_length=True,
    )
    return draw_ranked_queries([query], folder)


def _shown(value: object) -> str:
    return '' if value is None else printable(str(value))


def _shorten(text: str | None) -> str | None:
    if text is None:
        return None
    line = ' '.join(text.split())
    return line if len(line) <= _WIDEST else f'{line[: _WIDEST - 3]}...'
