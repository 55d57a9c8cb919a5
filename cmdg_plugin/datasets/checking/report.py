"""The checks as text: a table, and below it what is wrong and where missing datasets are expected."""

from collections.abc import Iterable

from cmdg_plugin.datasets.checking.dataset_check import DatasetCheck
from cmdg_plugin.datasets.sources.counts import compare_counts, count_cameras

_COLUMNS = ('dataset', 'found', 'role', 'identities', 'images', 'cameras', 'captions', 'longest', 'cut')
_LEGEND = """\
Numbers are found / expected, with ! where they differ. Captions: images that have some, of all images of the dataset;
longest in CLIP tokens; cut: sentences of more than 77 tokens, whose end CLIP does not read."""


def draw_table(checks: Iterable[DatasetCheck]) -> str:
    """Draw one line for each role of each dataset, with a legend."""
    rows = [_COLUMNS, *(row for check in checks for row in _rows(check))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    lines = ['  '.join(map(str.ljust, row, widths)).rstrip() for row in rows]
    lines.insert(1, '-' * max(map(len, lines)))
    return '\n'.join([*lines, '', _LEGEND])


def explain(checks: Iterable[DatasetCheck], drawn: Iterable[str]) -> str:
    """Say what is wrong with datasets and what else one should know; '' if there is nothing to say.

    Args:
        checks: The datasets.
        drawn: Names of those for which, where they are missing, the expected folders are drawn.
    """
    drawn = set(drawn)
    paragraphs = []
    for check in checks:
        if check.tree and check.name in drawn:
            paragraphs.append(f'{check.name}: {check.fault}. Expected, in the {check.tree}')
        elif check.fault and not check.tree:
            paragraphs.append(f'{check.name}: {check.fault.removeprefix(f"{check.name}: ")}')
        paragraphs.extend(f'{check.name}: {note}' for note in check.notes)
    return '\n\n'.join(paragraphs)


def _rows(check: DatasetCheck) -> list[tuple[str, ...]]:
    index = check.index
    version = check.version if check.layout is None else check.layout.version
    roles = [
        (
            '',
            '',
            row.role,
            _pair(row.found.identities, row.expected.identities),
            _pair(row.found.images, row.expected.images),
        )
        for row in compare_counts(index, check.benchmark, version)
    ]
    # Datasets for text search have none.
    counted = None if index is None or check.benchmark.text_search else count_cameras(index)
    cameras = _pair(counted, check.benchmark.cameras)
    first = (check.name, _where(check), *roles[0][2:], cameras, *_captions(check))
    return [first, *((*role, '', '', '', '') for role in roles[1:])]


def _where(check: DatasetCheck) -> str:
    if check.layout is None:
        return 'no'
    where = ', '.join(part for part in (check.layout.kind, check.layout.version) if part)
    return f'{where}{"; faulty" if check.fault else ""}'


def _captions(check: DatasetCheck) -> tuple[str, str, str]:
    found = check.captions
    if found is None or not found.covered:
        return ('-' if found is None else f'0 of {found.images:,}', '-', '-')
    share = 100 * found.covered / found.images
    # Rounding up would call a dataset complete that is not.
    percent = '100%' if found.covered == found.images else f'{min(share, 99.9):.1f}%'
    return f'{found.covered:,} of {found.images:,} ({percent})', str(found.longest), f'{found.cut:,}'


def _pair(found: int | None, expected: int | None) -> str:
    if found is None:
        return '-' if expected is None else f'- / {expected:,}'
    if expected is None:
        return f'{found:,}'
    return f'{found:,} / {expected:,}{"" if found == expected else " !"}'
