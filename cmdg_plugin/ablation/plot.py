"""Scores of all rows as a picture with error bars."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cmdg_plugin.ablation.statistics import Estimate
from cmdg_plugin.ablation.table import Line, find_reference

_COLOR = 'tab:blue'


def plot_lines(lines: Sequence[Line]) -> Figure:
    """Plot each metric's means and paired differences with their 95% intervals, and the score of every seed.

    A metric has a row of two panels, means on the left and differences on the right.
    """
    metrics = list(dict.fromkeys(line.metric for line in lines))
    height = 0.9 + 0.34 * len(lines) / len(metrics)
    figure = Figure(figsize=(11, height * len(metrics)), layout='constrained')
    panels = figure.subplots(len(metrics), 2, sharey=True, squeeze=False)
    for (left, right), metric in zip(panels, metrics, strict=True):
        members = [line for line in lines if line.metric == metric]
        reference = find_reference(members)
        for place, line in enumerate(members):
            _plot_estimate(left, place, line.mean, list(line.scores.values()))
            if line.difference is not None:
                known = reference.scores
                pairs = [score - known[seed] for seed, score in line.scores.items() if seed in known]
                _plot_estimate(right, place, line.difference, pairs)
        right.axvline(0, color='0.4', linewidth=1)
        left.set_title(f'{metric}: mean, 95% interval, single seeds', loc='left', fontsize=10)
        right.set_title(f'difference to {reference.row}, seed by seed', loc='left', fontsize=10)
        left.set_yticks(range(len(members)), [line.row for line in members])
        left.set_ylim(len(members) - 0.5, -0.5)
        for axis in (left, right):
            axis.grid(axis='x', color='0.85', linewidth=0.6)
            axis.spines[['top', 'right']].set_visible(False)
    return figure


def _plot_estimate(axis: Axes, place: int, estimate: Estimate, values: Sequence[float]) -> None:
    if not estimate.count:
        return
    axis.plot(values, np.full(len(values), place), 'o', color='0.6', markersize=3, zorder=1)
    margin = 0.0 if np.isnan(estimate.margin) else estimate.margin
    axis.errorbar(estimate.mean, place, xerr=margin, fmt='o', color=_COLOR, capsize=4, markersize=6, zorder=2)
