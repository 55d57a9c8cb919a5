"""Metrics of an evaluation as a table for a terminal or a Markdown page."""

from collections.abc import Mapping

from cmdg_plugin.evaluation.held_out import OPEN_SET_SCORES
from cmdg_plugin.evaluation.target_scores import RELEASED, RERANKED, SCORES

_STYLES = ('plain', 'markdown')
_COMPARED = ('before', 'after', 'gain')
_STAR = ' *'
_KINDS = {
    '': '',
    RELEASED: ', released split',
    RERANKED: ', re-ranked',
    RELEASED + RERANKED: ', released split, re-ranked',
}


def format_score_table(
    metrics: Mapping[str, float],
    *,
    before: Mapping[str, float] | None = None,
    style: str = 'plain',
    marks: Mapping[str, str] | None = None,
) -> str:
    """Lay out the scores of `ReIDMetric`: a row per target and one for the average, then the same of other kinds.

    Other kinds are scores of released splits and scores after re-ranking.

    Args:
        metrics: `<target>/<score>` -> percent; other keys are left out. A `<score>_std` is shown after its score.
        before: Scores of the same targets at another time; then each score has the columns before, after and gain.
        style: `'plain'` (aligned with spaces) or `'markdown'`.
        marks: What must be said of a target's scores, by target: its rows get a star, and the sentence stands below
            the table. The average of targets of which one is marked gets a star, too.

    Returns:
        The table, a column for each score that some target has; numbers with one decimal, `-` where there is none.

    Raises:
        ValueError: If no key is a target's score, or for an unknown style.
    """
    if style not in _STYLES:
        raise ValueError(f'style must be one of {_STYLES}, got {style!r}.')
    targets = _targets(metrics)
    said = {target: marks[target] for target in targets if marks and target in marks}
    starred = {*said, 'average'} if said else set()
    lines = [
        (target + label + (_STAR if target in starred else ''), target, ending)
        for ending, label in _KINDS.items()
        for target in targets
        if not ending or f'{target}/{SCORES[0]}{ending}' in metrics
    ]
    shown = (*SCORES, *OPEN_SET_SCORES)
    scores = [score for score in shown if any(f'{target}/{score}' in metrics for target in targets)]
    headers = [['target', *scores]]
    if before is not None:
        headers = [['', *(name for score in scores for name in (score, '', ''))], ['target', *_COMPARED * len(scores)]]
    rows = [
        [label, *(cell for score in scores for cell in _cells(before, metrics, f'{target}/{score}{end}'))]
        for label, target, end in lines
    ]
    table = _markdown(headers, rows) if style == 'markdown' else _plain(headers, rows)
    star = _STAR.strip().replace('*', r'\*') if style == 'markdown' else _STAR.strip()
    return '\n\n'.join([table, *(f'{star} {target}: {text}' for target, text in said.items())])


def _targets(metrics: Mapping[str, float]) -> list[str]:
    names = [key.rpartition('/')[0] for key in metrics if '/' in key and key.rpartition('/')[2] in SCORES]
    targets = [name for name in dict.fromkeys(names) if name != 'average']
    if not targets:
        raise ValueError(f'No key of the form <target>/{SCORES[0]} among the metrics: {sorted(metrics)}.')
    return [*targets, 'average'] if 'average' in names else targets


def _cell(metrics: Mapping[str, float], key: str) -> str:
    value, spread = metrics.get(key), metrics.get(f'{key}_std')
    if value is None:
        return '-'
    return f'{value:.1f}' if spread is None else f'{value:.1f} ± {spread:.1f}'


def _cells(before: Mapping[str, float] | None, after: Mapping[str, float], key: str) -> list[str]:
    if before is None:
        return [_cell(after, key)]
    old, new = before.get(key), after.get(key)
    gain = '-' if old is None or new is None else f'{new - old:+.1f}'
    return [_cell(before, key), _cell(after, key), gain]


def _markdown(headers: list[list[str]], rows: list[list[str]]) -> str:
    names = headers[0]
    if len(headers) > 1:  # Markdown has one header line
        scores = [score for score in names[1 :: len(_COMPARED)] for _ in _COMPARED]
        names = ['target', *(f'{score} {name}' for score, name in zip(scores, headers[1][1:], strict=True))]
    rule = [':---', *('---:' for _ in names[1:])]
    return '\n'.join('| ' + ' | '.join(row) + ' |' for row in (names, rule, *rows))


def _plain(headers: list[list[str]], rows: list[list[str]]) -> str:
    table = [*headers, *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(headers[0]))]
    if len(headers) > 1:  # a wider gap in front of each score's three columns
        widths = [width + 2 if column % len(_COMPARED) == 1 else width for column, width in enumerate(widths)]
    lines = []
    for row in table:
        numbers = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        lines.append('  '.join([row[0].ljust(widths[0]), *numbers]))
    lines.insert(len(headers), '-' * len(lines[0]))
    return '\n'.join(line.rstrip() for line in lines)
