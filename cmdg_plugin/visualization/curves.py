"""Curves of losses, learning rates and scores of a run, from MMEngine's log of scalars."""

import json
from collections import defaultdict
from pathlib import Path

import matplotlib

matplotlib.use('Agg')
from matplotlib import pyplot
from matplotlib.axes import Axes

Series = dict[str, list[tuple[float, float]]]
_SCORES = ('mAP', 'R1')


def read_scalars(log: str | Path) -> tuple[dict[str, Series], Series]:
    """Read losses and scores from a `scalars.json` of MMEngine's local visualizer.

    Args:
        log: File with one JSON object a line.

    Returns:
        Losses as stage -> name -> (iteration, value), and scores in percent as `<target>/<score>` -> (epoch, value).

    Raises:
        ValueError: If a line is no JSON object.
    """
    losses: dict[str, Series] = defaultdict(lambda: defaultdict(list))
    scores: Series = defaultdict(list)
    for number, line in enumerate(Path(log).read_text(encoding='utf-8').splitlines(), 1):
        try:
            entries = json.loads(line)
        except json.JSONDecodeError as error:
            raise ValueError(f'{log}, line {number}: expected one JSON object a line, got {line[:60]!r}.') from error
        step = entries.get('step', 0)
        for key, value in entries.items():
            group, _, name = key.rpartition('/')
            if name.startswith('loss'):
                losses[group or 'training'][name].append((step, value))
            elif name in _SCORES:
                scores[key].append((step, value))
    return {stage: dict(series) for stage, series in losses.items()}, dict(scores)


def draw_curves(log: str | Path, path: str | Path) -> None:
    """Draw the losses of each stage side by side, and the scores of all targets, as one PNG.

    Args:
        log: File with one JSON object a line, as MMEngine's local visualizer writes it.
        path: The picture.
    """
    losses, scores = read_scalars(log)
    panels = max(len(losses) + bool(scores), 1)
    figure, axes = pyplot.subplots(1, panels, figsize=(4.6 * panels, 3.8), squeeze=False, layout='constrained')
    for axis, (stage, series) in zip(axes[0], losses.items(), strict=False):
        _plot(axis, series, title=f'losses: {stage}', step='iteration')
    if scores:
        _plot(axes[0][-1], scores, title='scores (percent)', step='epoch', marker='o')
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _plot(axis: Axes, series: Series, *, title: str, step: str, marker: str | None = None) -> None:
    for name, points in sorted(series.items()):
        total = name in ('loss', 'average/R1', 'average/mAP')
        axis.plot(*zip(*points, strict=True), label=name, marker=marker, linewidth=2.2 if total else 1.2)
    axis.set(title=title, xlabel=step)
    axis.grid(alpha=0.3)
    axis.legend(fontsize=7)
