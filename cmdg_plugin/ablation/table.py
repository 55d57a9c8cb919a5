"""Scores of all runs as a table."""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from cmdg_plugin.ablation.planning import Run
from cmdg_plugin.ablation.running import read_seconds
from cmdg_plugin.ablation.statistics import Estimate, estimate_difference, estimate_mean
from cmdg_plugin.files.writing import open_whole_text


@dataclass(frozen=True)
class Line:
    """What is known of one row by one metric.

    Args:
        row: The row's name.
        metric: The metric's name.
        scores: Score by seed; the mean over the held-out sources where there are any.
        mean: Their mean.
        difference: How much higher they are than the reference's, seed by seed; None for the reference.
        seconds: Mean time of a run, with its share of what was trained for several rows; NaN where not noted.
    """

    row: str
    metric: str
    scores: Mapping[int, float]
    mean: Estimate
    difference: Estimate | None
    seconds: float


def collect_lines(runs: Sequence[Run], metrics: Sequence[str], reference: str | None = None) -> list[Line]:
    """Read the results of the runs that have any.

    Args:
        runs: All runs, row by row in the order of the table.
        metrics: Names of scores, such as `average/R1`.
        reference: Name of the row that others are compared with; None for the first.

    Returns:
        A line per metric and row, for all rows.

    Raises:
        ValueError: If a run has no such score.
    """
    rows: dict[str, list[Run]] = {}
    for run in runs:
        rows.setdefault(run.name, []).append(run)
    lines = []
    for metric in metrics:
        scores = {name: _scores_by_seed(members, metric) for name, members in rows.items()}
        first = next(iter(scores)) if reference is None else reference
        for name, members in rows.items():
            seconds = [time for run in members if run.seed in scores[name] and (time := _seconds(run)) is not None]
            lines.append(
                Line(
                    name,
                    metric,
                    scores[name],
                    estimate_mean(list(scores[name].values())),
                    None if name == first else estimate_difference(scores[name], scores[first]),
                    estimate_mean(seconds).mean,
                )
            )
    return lines


def find_reference(lines: Sequence[Line]) -> Line:
    """Return the line that the others of its metric are compared with."""
    return next(line for line in lines if line.difference is None)


def format_markdown(lines: Sequence[Line]) -> str:
    """Lay out lines as a Markdown table for each metric: mean and paired difference with their 95% intervals."""
    tables = []
    for metric in dict.fromkeys(line.metric for line in lines):
        members = [line for line in lines if line.metric == metric]
        header = ['', metric, f'against {find_reference(members).row}', 'seeds', 'time of a run']
        table = [header, [':---', *['---:'] * (len(header) - 1)]]
        for line in members:
            difference = '' if line.difference is None else format_estimate(line.difference, '+')
            seeds = str(line.mean.count)
            if line.difference is not None and line.difference.count != line.mean.count:
                seeds += f' ({line.difference.count} compared)'
            table.append([line.row, format_estimate(line.mean), difference, seeds, format_time(line.seconds)])
        tables.append(
            '\n'.join('| ' + ' | '.join(cell.replace('|', '\\|') for cell in cells) + ' |' for cells in table)
        )
    return '\n\n'.join(tables)


def write_csv(lines: Sequence[Line], path: Path) -> None:
    """Write lines with unrounded numbers; what is not known is left empty."""
    rows = [_csv_row(line) for line in lines]
    with open_whole_text(path, newline='') as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _csv_row(line: Line) -> dict[str, object]:
    difference = line.difference or Estimate(math.nan, math.nan, 0)
    return {
        'row': line.row,
        'metric': line.metric,
        'seeds': line.mean.count,
        'mean': _exact(line.mean.mean),
        'low': _exact(line.mean.low),
        'high': _exact(line.mean.high),
        'difference': _exact(difference.mean),
        'difference_low': _exact(difference.low),
        'difference_high': _exact(difference.high),
        'difference_seeds': difference.count if line.difference else '',
        'seconds': _exact(line.seconds),
        'scores': ' '.join(f'{seed}:{score!r}' for seed, score in line.scores.items()),
    }


def _exact(number: float) -> str:
    return '' if math.isnan(number) else repr(number)


def format_time(seconds: float) -> str:
    """Write seconds as `1 h 02 min`, `3 min 12 s` or `8 s`; `-` for NaN."""
    if math.isnan(seconds):
        return '-'
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f'{hours} h {minutes:02d} min'
    return f'{minutes} min {rest:02d} s' if minutes else f'{rest} s'


def format_estimate(estimate: Estimate, sign: str = '') -> str:
    """Write a mean with its interval, as `1.5 [1.2, 1.8]`; `-` where nothing is known.

    Args:
        estimate: The mean.
        sign: `+` to write the sign of positive numbers, too.
    """
    if not estimate.count:
        return '-'
    if math.isnan(estimate.margin):
        return _number(estimate.mean, sign)
    return f'{_number(estimate.mean, sign)} [{_number(estimate.low, sign)}, {_number(estimate.high, sign)}]'


def _number(value: float, sign: str) -> str:
    # Adding 0 takes the sign off what is rounded to it.
    return f'{round(value, 1) + 0.0:{sign}.1f}'


def _scores_by_seed(runs: Sequence[Run], metric: str) -> dict[int, float]:
    """The score of each seed whose runs have all finished, as the mean over its held-out sources."""
    found: dict[int, list[float | None]] = {}
    for run in runs:
        found.setdefault(run.seed, []).append(_score(run, metric))
    known = {seed: [score for score in scores if score is not None] for seed, scores in found.items()}
    return {seed: fmean(scores) for seed, scores in known.items() if len(scores) == len(found[seed])}


def _score(run: Run, metric: str) -> float | None:
    scores = run.scores
    if scores is None:
        return None
    if metric not in scores:
        raise ValueError(f'{run.results_file} has no {metric}; it has {", ".join(scores)}. Choose with --metric.')
    return scores[metric]


def _seconds(run: Run) -> float | None:
    """Time of a run as if it had been trained alone."""
    own = read_seconds(run.folder)
    shared = read_seconds(run.beginning.folder) if run.beginning is not None else 0.0
    return None if own is None or shared is None else own + shared
